"""What both in-sandbox runners share: the request, the report file, bytecode that cannot go stale.

Runs under the repository's Python, 3.6 or newer, and imports the standard library only.
"""

import hashlib
import io
import json
import os
import signal
import sys
import threading
import time

MESSAGE_CHARS = 6000
_RACY_S = 2.0
_write, _getpid = os.write, os.getpid


def _encoder():
    """Events to JSON, whatever the code under test replaces in `json` later: the parts in C look nothing up."""
    make = json.encoder.c_make_encoder
    if make is None:  # PyPy
        return json.dumps
    encode = make(None, repr, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return lambda event: "".join(encode(event, 0))


_encoded = _encoder()


def bounded(text, limit=MESSAGE_CHARS):
    """Head and tail of a long text."""
    text = text if isinstance(text, str) else str(text)
    if len(text) <= limit:
        return text
    head = limit // 3
    return text[:head] + "\n[... %d characters ...]\n" % (len(text) - limit) + text[head - limit :]


def is_test(path):
    """Whether a path relative to the root is a test by its name, or lies among tests."""
    parts = path.split("/")
    name = parts[-1]
    named = name.startswith("test_") or name.endswith("_test.py") or name in ("conftest.py", "tests.py")
    return named or any(part in ("test", "tests") for part in parts[:-1])


class Request:
    """The run's request: `root`, `select`, `restore` (environment to put back), `coverage`."""

    def __init__(self, folder):
        self.folder = folder
        with io.open(os.path.join(folder, "request.json"), encoding="utf-8") as file:
            data = json.load(file)
        self.root = data["root"]
        self.select = data["select"]
        self.coverage = bool(data.get("coverage"))
        self.restore = data["restore"]
        self.signer = _signer(folder, data)
        self.audit = bool(data.get("audit"))
        self.disguise = bool(data.get("disguise"))
        self.bytecode = data.get("bytecode")
        self.shared_bytecode = data.get("shared_bytecode")
        self.limit_s = data.get("limit_s")

    def restore_environment(self):
        """Undo what only the test run itself needed, so that processes that tests start do not see it."""
        for name, value in self.restore.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _signer(folder, data):
    """What signs the report: each line with all before it. The key is taken out of the request before anything
    of the repository is imported; what is kept is a hash object, which does not give it back. A command of
    several test processes hands a key made from this one to the next."""
    key = data.pop("key", None)
    if not key:
        return None
    if data.get("several"):
        data["key"] = hashlib.sha256(key.encode()).hexdigest()
    path = os.path.join(folder, "request.json")
    with io.open(path + ".new", "w", encoding="utf-8") as file:
        file.write(json.dumps(data))
    os.replace(path + ".new", path)
    return hashlib.blake2b(key=bytes.fromhex(key), digest_size=16)


class HungTest(BaseException):
    """No Exception: code under test that catches those does not catch this."""


class Limit:
    """Ends a test that runs longer than `seconds`, where nobody else uses the alarm."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.plain = None

    def begin(self):
        if not self.seconds or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            return
        self.plain = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def end(self):
        if self.plain is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        if signal.getsignal(signal.SIGALRM) == self._ring:
            signal.signal(signal.SIGALRM, self.plain)
        self.plain = None

    def _ring(self, number, frame):
        raise HungTest("the test did not end within %g s" % self.seconds)


class Report:
    """JSON lines, one for each event, written at once so that a killed run keeps what it had."""

    remember = False
    """Whether events are kept, to be told again by runs that continue from a frozen process."""

    def __init__(self, path, signer=None):
        self.pid = _getpid()
        self._signer = signer
        self.path = path
        self.history = []
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def moved(self, path):
        """The same report continued in another file, in a process that was forked off."""
        os.close(self._fd)
        again = Report(path)
        again.remember = self.remember
        for event in self.history:
            again.write(**event)
        return again

    def write(self, **event):
        if _getpid() != self.pid:
            return
        if self.remember:
            self.history.append(event)
        line = _encoded(event).encode("utf-8", "replace") + b"\n"
        if self._signer is not None:
            self._signer.update(line)
            line = self._signer.copy().hexdigest().encode("ascii") + b" " + line
        while line:
            line = line[_write(self._fd, line) :]


def cacheable(mtime):
    """Whether bytecode of a source with this time may be kept: not when it is younger than two seconds, nor
    when the time was made up for one run's variant (before 2004, see Tree in swe_agent_zygote)."""
    return time.time() - mtime >= _RACY_S and mtime >= 1 << 30


def move_bytecode(root, folder, shared):
    """Cache bytecode of the repository's modules in `folder` instead of beside them: nothing is left in the
    tree, and nothing that lies there is believed. Installed packages keep theirs. What the read-only folder
    `shared` (None: there is none) has is read there."""
    if not folder:
        return
    from importlib import _bootstrap_external as external

    plain = external.cache_from_source
    prefix = os.path.realpath(root).rstrip(os.sep) + os.sep

    def moved(path):
        if not path.startswith(prefix):
            return path
        name = path[len(prefix) :]
        kept = os.path.join(shared, name) if shared else ""
        return kept if kept and os.path.exists(kept) else folder + os.sep + name

    def cache_from_source(path, debug_override=None, *, optimization=None):
        if debug_override is not None:
            return plain(path, debug_override)
        return moved(plain(path, optimization=optimization))

    external.cache_from_source = cache_from_source
    plain_stats = external.SourceFileLoader.path_stats

    def path_stats(self, path):
        """Bytecode names its source's time in whole seconds, and a candidate may be written in the second in which
        the base was: here it is microseconds, as far as 32 bits hold them."""
        found = plain_stats(self, path)
        if path.startswith(prefix):
            found["mtime"] = (os.stat(path).st_mtime_ns // 1000) & 0xFFFFFFFF
        return found

    external.SourceFileLoader.path_stats = path_stats
    try:
        from _pytest.assertion import rewrite

        plain_folder = rewrite.get_cache_dir
    except (ImportError, AttributeError):
        # This pytest would write beside the sources.
        sys.dont_write_bytecode = "_pytest" in sys.modules
        return

    def get_cache_dir(file_path):
        found = plain_folder(file_path)
        return type(found)(moved(str(found) + os.sep).rstrip(os.sep))

    rewrite.get_cache_dir = get_cache_dir
    sys.dont_write_bytecode = False


def keep_bytecode_honest():
    """Never cache bytecode of a source younger than two seconds.

    A cached file is recognised by the source's size and its time in whole seconds: an edit of equal length
    within the second of the cached version would go unseen (git's index has the same problem and the same
    remedy).
    """
    from importlib import _bootstrap_external, machinery

    plain = machinery.SourceFileLoader._cache_bytecode

    def cache_bytecode(self, source_path, bytecode_path, data):
        try:
            if not cacheable(_bootstrap_external._path_stat(source_path).st_mtime):
                return None
        except OSError:
            return None
        return plain(self, source_path, bytecode_path, data)

    machinery.SourceFileLoader._cache_bytecode = cache_bytecode
