"""The working tree of a zygote, brought from one variant to the next. Python 3.6 or newer."""

import base64
import os
import subprocess
import zlib


class Tree:
    """The working tree, brought from one state to the next."""

    def __init__(self, root):
        self.root = root
        self.state = {}
        self.originals = {}

    def become(self, state, contents):
        for path in [p for p in self.state if p not in state]:
            self._restore(path)
        for path, known in state.items():
            if self.state.get(path) != known or path not in self.state:
                self._change(path, known, contents)
        self.state = dict(state)

    def _full(self, path):
        return os.path.join(self.root, path)

    def _keep(self, path):
        if path in self.originals:
            return
        full = self._full(path)
        try:
            info = os.stat(full)
            with open(full, "rb") as file:
                self.originals[path] = (file.read(), info.st_mode & 0o7777, info.st_mtime_ns)
        except FileNotFoundError:
            self.originals[path] = None

    def _change(self, path, known, contents):
        self._keep(path)
        full = self._full(path)
        if known[1] == "D":
            if os.path.exists(full):
                os.remove(full)
            return
        data = base64.b64decode(contents[path])
        folder = os.path.dirname(full)
        if not os.path.isdir(folder):
            os.makedirs(folder)
        with open(full, "wb") as file:
            file.write(data)
        os.chmod(full, known[2])
        # Cached bytecode is recognised by size and time: derive the time from the content, long ago, so
        # that no cached file can belong to another text (and none is written for a time before 2004).
        when = zlib.crc32(data) % (1 << 30)
        os.utime(full, (when, when))

    def _restore(self, path):
        kept = self.originals.get(path)
        full = self._full(path)
        if kept is None:
            if os.path.exists(full):
                os.remove(full)
            folder = os.path.dirname(full)
            while folder != self.root and os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)
                folder = os.path.dirname(folder)
            return
        data, mode, mtime = kept
        if not os.path.isdir(os.path.dirname(full)):
            os.makedirs(os.path.dirname(full))
        with open(full, "wb") as file:
            file.write(data)
        os.chmod(full, mode)
        os.utime(full, ns=(mtime, mtime))

    def strangers(self):
        """Paths that differ from the base and are not of the present state: a test wrote them."""
        listed = subprocess.run(
            ["git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "status", "--porcelain", "-z", "-uall", "--no-renames"],
            cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if listed.returncode:
            return ["git status failed"]
        names = [os.fsdecode(entry[3:]) for entry in listed.stdout.split(b"\0") if entry]
        return [name for name in names if name not in self.state]
