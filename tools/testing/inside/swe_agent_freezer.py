"""Freezing a pytest session at chosen points, so that later runs continue from there.

A checkpoint is a forked copy of the process, asleep in the middle of what it did. It is valid for a later
tree when every file of the repository that had been read up to then still has the same content, and the
same files exist: then a fresh process would have arrived at the very same state. Which files were read is
told by audit hooks (PEP 578, Python 3.8); without them only the state before the session starts is kept.
"""

import gc
import importlib
import importlib.machinery
import os
import signal
import socket
import stat
import sys
import threading
import time

from swe_agent_wire import private_files, receive, send

SPACING_S = 0.05
_POISON = (
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.system",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)
_WRITES = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
)
_NO_PRELOAD = {"gevent", "eventlet"}


class Freezer:
    """The state of one session that checkpoints are made of."""

    def __init__(self, root, registry, output):
        self.root = root
        self.prefix = root.rstrip(os.sep) + os.sep
        self.hidden = self.prefix + ".git" + os.sep
        self.registry = registry
        self.output = output
        self.touched = {}
        self.order = 0
        self.state = {}
        self.fresh = set()
        self.fresh_met = False
        self.key = None
        self.bound = lambda: False
        self.open = False
        self.poisoned = ""
        self.wrote = False
        self.spawned = False
        self.last = time.monotonic()
        self.busy = False
        self.before = set(sys.modules)
        self.resume = None
        self.go = {}
        self.environ = {}
        self.learned = []

    def watch(self):
        """Follow what is read. Returns False where this Python cannot tell."""
        if not hasattr(sys, "addaudithook"):
            return False
        try:
            from _pytest.assertion.rewrite import AssertionRewritingHook

            rewriting = AssertionRewritingHook.exec_module
        except (ImportError, AttributeError):
            return False

        def exec_module(this, module):
            # pytest reads its own cached bytecode and only looks at the source's time and size.
            if module.__spec__.origin:
                self.touch(module.__spec__.origin)
            return rewriting(this, module)

        AssertionRewritingHook.exec_module = exec_module
        loader = importlib.machinery.SourceFileLoader
        plain = loader.path_stats

        def path_stats(this, path):
            # Before the file's time and size are looked at: they decide whether cached bytecode is used.
            self.touch(path)
            return plain(this, path)

        loader.path_stats = path_stats
        sys.addaudithook(self._audit)
        return True

    def _audit(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)):
                if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                    if not self.wrote and self._inside(path):
                        self.wrote = True
                elif self.open:
                    self.touch(path)
        elif event in _WRITES:
            if not self.wrote and arguments and isinstance(arguments[0], (str, bytes)):
                self.wrote = self._inside(arguments[0]) is not None
        elif event in _POISON and not self.busy:
            self.spawned = True
            self.poisoned = self.poisoned or event

    def _inside(self, path):
        try:
            path = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))
        except (OSError, ValueError):
            return None
        if not path.startswith(self.prefix) or path.startswith(self.hidden):
            return None
        return path[len(self.prefix) :]

    def touch(self, path):
        """The file is about to be read."""
        if self.busy or not self.open:
            return
        name = self._inside(path)
        if name is None or name in self.touched:
            return
        if name in self.state or time.monotonic() - self.last > SPACING_S:
            if not (self.fresh_met and name not in self.state):
                self.checkpoint("before " + name)
        if name in self.fresh:
            self.fresh_met = True
        self.touched[name] = self.state.get(name)

    def checkpoint(self, reason):
        """Leave a sleeping copy of this process behind and go on. In a later run the copy returns from
        here instead."""
        if self.busy or not self.open or self.obstacle():
            return
        self.busy = True
        try:
            ours, theirs = socket.socketpair()
            # Told by this process, which alone writes to the registry: no two messages can mix.
            self._register(reason, theirs.fileno())
            theirs.close()
            # Forked twice: the sleeper must not be a child of this process, where tests may wait for all.
            middle = os.fork()
            if middle:
                os.waitpid(middle, 0)
                ours.close()
                return
            if os.fork():
                os._exit(0)
            os.setpgid(0, 0)
            send(ours, {"pid": os.getpid()})
            self.sleep(ours)
        finally:
            self.busy = False
            self.last = time.monotonic()

    def _register(self, reason, fd):
        message = {
            "checkpoint": reason,
            "key": self.key if self.bound() else None,
            "touched": self.touched,
            "shape": self.shape(self.state),
            "tops": [] if self.bound() else sorted({name.partition(".")[0] for name in sys.modules}),
        }
        send(self.registry, message, (fd,))

    def finished(self, status):
        """The run's results are written; its process may take its time to end."""
        self.busy = True
        send(self.registry, {"finished": status})

    @staticmethod
    def shape(state):
        """What of a state must be the same whatever was read: files added or removed, and changed files
        that are not Python (anything may read those without telling)."""
        return {p: s for p, s in state.items() if s is None or s[1] != "M" or not p.endswith(".py")}

    def sleep(self, sock):
        """Wait for runs to start from here; returns in each run's own process."""
        self.busy = True
        if hasattr(gc, "freeze"):
            gc.freeze()
        while True:
            message, _ = receive(sock)
            if message is None:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                sock.close()
                self.awake(message)
                self.busy = False
                return
            send(sock, {"pid": pid})
            _, status = os.waitpid(pid, 0)
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
            send(sock, {"exit": status})

    def awake(self, go):
        """A run of its own begins: its own group, files, state and request."""
        os.setpgid(0, 0)
        private_files()
        self.go = go
        before = self.shape(self.state)
        self.state = go["state"]
        self.fresh = set(go["fresh"])
        self.fresh_met = bool(self.fresh & set(self.touched))
        self.key = go["key"]
        self.wrote = self.spawned = False
        if self.shape(self.state) != before:
            importlib.invalidate_caches()
        if self.resume is not None:
            self.resume(go["folder"])

    def finish(self):
        """The tests begin: nothing is frozen from here on."""
        self.open = False
        self.learned = self.dependencies()

    def obstacle(self):
        """Why a copy of this process could not go on like the process itself; "" when nothing is in the way."""
        if self.poisoned:
            return self.poisoned
        if threading.active_count() > 1:
            return "threads"
        try:
            if len(os.listdir("/proc/self/task")) > 1:
                return "native threads"
            for name in os.listdir("/proc/self/fd"):
                try:
                    mode = os.fstat(int(name)).st_mode
                    link = os.readlink("/proc/self/fd/" + name)
                except OSError:
                    continue
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or link.startswith(("/dev/", "/memfd:")):
                    continue
                if int(name) == self.registry.fileno():
                    continue
                return "an open " + link
        except OSError:
            return "no /proc"
        return ""

    def dependencies(self):
        """Installed modules that the repository's own code and its tests imported, in order; empty when
        importing them earlier might make a difference."""
        if self.environ != dict(os.environ):
            return []
        prefixes = tuple(
            {os.path.realpath(p) + os.sep for p in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
        )
        names = []
        for name, module in list(sys.modules.items()):
            if name in self.before or name.partition(".")[0] in _NO_PRELOAD:
                if name.partition(".")[0] in _NO_PRELOAD:
                    return []
                continue
            spec = getattr(module, "__spec__", None)
            origin = getattr(spec, "origin", None)
            if spec is None or spec.name != name or type(spec.loader).__name__ == "AssertionRewritingHook":
                continue
            if origin in ("built-in", "frozen"):
                names.append(name)
            elif isinstance(origin, str):
                real = os.path.realpath(origin)
                if real.startswith(prefixes) and not real.startswith(self.prefix):
                    names.append(name)
        return names

    def preload(self, names):
        """Import installed modules ahead of the repository's. Returns whether all went well."""
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:  # whatever it raises, the run goes on without a preloaded checkpoint
                return False
        return True
