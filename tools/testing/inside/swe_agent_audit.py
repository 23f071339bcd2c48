"""What became of the judge in the process that it shares with the code under test.

Looks once at the moment before anything of the repository is executed, again after every test and at the end: whether the
test machinery still is what it was, whose code stands in other people's modules, what is equal to everything.
It finds; it cannot prevent. Runs under the repository's Python (3.6 or newer).
"""

import gc
import operator
import os
import sys
import time
import types
import unittest.case  # noqa: F401 - loaded before the repository could replace it
import warnings

from swe_agent_guests import Guests, file_of, is_a

_CORE = ("_pytest", "pytest", "pluggy", "unittest", "builtins", "operator")
_CHANGING = ("_reprcompare", "_assertion_pass", "_config", "_write_pyc", "get_cache_dir", "exec_module")
_FRAMES = (
    "sys._getframe",
    "gc.get_objects",
    "gc.get_referrers",
    "gc.get_referents",
    "sys.settrace",
    "sys.setprofile",
)
_MEMORY = ("ctypes.cdata", "ctypes.dlopen", "ctypes.string_at", "ctypes.wstring_at", "ctypes.cdata/buffer")
_HELPERS = ("inspect.py", "traceback.py", "swe_agent_audit.py")
_WRITES = os.O_WRONLY | os.O_RDWR
_MOST = 20
_SHARE, _LEAST_S = 0.05, 0.5
"""The most that looks between files take: so much of a run's time, but at least so many seconds."""
_CALLABLE = (types.FunctionType, types.BuiltinFunctionType, type, classmethod, staticmethod, property)


class Audit:
    """`root` is the repository; `tests` says of a path (relative to it) whether it is a test."""

    def __init__(self, root, is_test):
        self.prefix = os.path.realpath(root).rstrip(os.sep) + os.sep
        self.is_test = is_test
        self.heard = set()
        self._told = set()
        self.libraries = tuple(
            sorted({os.path.realpath(path) + os.sep for path in _library_folders() if path})
        )
        self.homes = [home for home in _homes() if home.startswith(self.prefix)]
        self._busy = False
        self._settled = False
        self._began = time.time()
        self._looked_s = 0.0
        self._unseen = None
        self.guests = Guests(self.prefix, self.libraries, self._product)
        self._look()
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._heard)

    def _heard(self, event, arguments):
        if not self._settled and event in ("exec", "import"):
            self._arrives(getattr(arguments[0], "co_filename", None) if event == "exec" else arguments[1])
        elif event == "open":
            self._opened(*arguments)
        elif not self._busy and (event in _FRAMES or event in _MEMORY):
            self._busy = True
            try:
                path = self._asker(sys._getframe(1))
                what = "looks into the process" if event in _FRAMES else "reaches into memory"
                if path:
                    self.heard.add("%s %s by %s" % (path, what, event))
            finally:
                self._busy = False

    def _arrives(self, name):
        """What plugins and pytest itself have put in place before the repository's first code runs is theirs."""
        if isinstance(name, str) and name.startswith(self.prefix):
            aside = (".git" + os.sep, *(home[len(self.prefix) :] for home in self.homes))
            if not name[len(self.prefix) :].startswith(aside):
                self._settled = True
                self._look()

    def _look(self):
        self.core = list(_core())
        self.judges = _judges() if "_pytest" in sys.modules else []

    def _opened(self, path, mode, flags):
        """Code that is written into the tree while tests run is no code that anybody has judged."""
        writes = any(c in mode for c in "wax+") if isinstance(mode, str) else bool(flags and flags & _WRITES)
        if writes and isinstance(path, str) and path.endswith((".py", ".pth", ".so", ".pyd")):
            full = os.path.join(os.getcwd(), path)
            if os.path.realpath(full).startswith(self.prefix):
                self.heard.add("%s is written while the tests run" % os.path.relpath(full, self.prefix))

    def _asker(self, frame):
        """The product whose code is in `frame`, or in whose name it was called; "" when it is none's."""
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith("<"):  # made of a text: it belongs to the module in which it was made
                name = frame.f_globals.get("__file__") or name
            if not name.startswith("<") and os.path.basename(name) not in _HELPERS:
                return self._product(name)
            frame = frame.f_back
        return ""

    def _product(self, name):
        """The path of a file of the repository that is no test, or the name of one that is nobody's; "" for others."""
        if not name.startswith(self.prefix):
            known = name.startswith("<") or not os.path.isabs(name) or name.startswith(self.libraries)
            return "" if known else "%s (from outside)" % os.path.basename(name)
        path = name[len(self.prefix) :].replace(os.sep, "/")
        return "" if path.startswith(".git/") or self.is_test(path) else path

    def replaced(self):
        """Whether what judges a test is no longer what it was: cheap, asked while a test runs."""
        return sorted(name for where, name, value in self.judges if where.get(name) is not value)[:_MOST]

    def changed(self):
        """What of the test machinery and the built-in names was replaced or taken away since the look."""
        return sorted(
            "%s was replaced" % label for where, key, label, value in self.core if where.get(key) is not value
        )

    def allow(self, known, plugins):
        """What is not among the `known` changes and is a function of an installed plugin of pytest (pytest-mock wraps
        assertions of mocks) stays where it was put. `plugins` are the files of the plugins."""
        theirs = []
        for file in map(os.path.realpath, plugins):
            if not file.startswith(self.prefix) or file.startswith(tuple(self.homes)):
                package = os.path.basename(file) == "__init__.py"
                theirs.append(os.path.dirname(file) + os.sep if package else file)
        for at, (where, key, label, value) in enumerate(self.core):
            now = where.get(key)
            if now is value or type(now) is not types.FunctionType or "%s was replaced" % label in known:
                continue
            core = str(now.__module__).partition(".")[0] in _CORE
            if not core and os.path.realpath(now.__code__.co_filename).startswith(tuple(theirs)):
                self.core[at] = (where, key, label, now)

    def equal_to_everything(self):
        """Classes of the repository's products whose objects equal values that they have never seen."""
        found = set()
        alive = {}
        for object_ in gc.get_objects():
            alive.setdefault(type(object_), object_)
        for owner in _classes():
            own = vars(owner).get("__eq__")
            if own is None:
                continue
            code = getattr(own, "__code__", None)
            file = file_of(sys.modules.get(owner.__module__))
            path = self._product(code.co_filename if code is not None else file or "<unknown>")
            if path and _equals_all(owner, alive.get(owner)):
                found.add("%s: objects of %s are equal to everything" % (path, owner.__name__))
        return sorted(found)[:_MOST]

    def news(self):
        """What was heard since this was asked last: the doing of the test, or of the import, that ran."""
        found = self.heard - self._told
        self._told |= found
        return sorted(found)

    def between(self, test, following):
        """(who ran since the last look, what was replaced since), asked after a test that another one may follow: the
        first one, to which all is laid that the imports did, and the last ones of files. While looks take too much of
        the time nothing is looked for."""
        file = test.partition("::")[0]
        if self._unseen is None:
            self._unseen = [test]
        elif not following.startswith(file + "::"):
            self._unseen.append(file)
        else:
            return [], []
        begun = time.time()
        if self._looked_s > max(_LEAST_S, _SHARE * (begun - self._began)):
            return [], []
        found, names = self._seen(self.changed, self.guests.found), self._unseen
        self._looked_s += time.time() - begun
        self._unseen = []
        return names, found

    def marks(self):
        """What else is to be said at the end."""
        return sorted({*self.news(), *self._seen(self.changed, self.guests.found, self.equal_to_everything)})

    def _seen(self, *looks):
        """What the looks find that was not told before."""
        found = set()
        for look in looks:
            try:
                with warnings.catch_warnings():  # a look at a deprecated name may be an error here
                    warnings.simplefilter("ignore")
                    found.update([mark for mark in look() if mark not in self._told][:_MOST])
            except Exception as error:  # foreign classes and modules may raise anything on a look
                found.add("the audit was disturbed by %s" % type(error).__name__)
        self._told |= found
        return sorted(found)


def _core():
    """(namespace, key, name, value) of what judges tests."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in _CORE or not isinstance(module, types.ModuleType):
            continue
        for key, value in list(vars(module).items()):
            if key in _CHANGING or not is_a(value, _CALLABLE):
                continue
            yield vars(module), key, name + "." + key, value
            if is_a(value, type) and value.__module__ == name:
                for part, inner in list(vars(value).items()):
                    if is_a(inner, _CALLABLE) and part not in _CHANGING:
                        yield vars(value), part, name + "." + key + "." + part, inner


def _judges():
    """(namespace, name, value) of what turns a test into a report."""
    import _pytest.python
    import _pytest.reports
    import _pytest.runner

    owners = (
        _pytest.reports.TestReport,
        _pytest.reports.BaseReport,
        _pytest.runner.CallInfo,
        _pytest.python.Function,
    )
    found = [(vars(owner), name, value) for owner in owners for name, value in vars(owner).items()]
    found += [(vars(m), n, v) for m in (_pytest.runner, _pytest.python) for n, v in vars(m).items()]
    return [entry for entry in found if isinstance(entry[2], _CALLABLE)]


def _library_folders():
    """Where code may come from that is not the repository's."""
    import swe_agent_report

    return [*_homes(), *sys.path[1:], os.path.dirname(os.path.abspath(swe_agent_report.__file__))]


def _homes():
    """Folders of the interpreter and of its environment."""
    folders = (sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.__file__))
    return [os.path.realpath(folder) + os.sep for folder in folders]


def _classes():
    seen = set()
    left = [object]
    while left:
        owner = left.pop()
        children = type.__subclasses__(type) if owner is type else _subclasses(owner)
        for child in children:
            if id(child) not in seen:
                seen.add(id(child))
                left.append(child)
                yield child


def _subclasses(owner):
    try:
        return type.__subclasses__(owner)
    except TypeError:  # a metaclass
        return []


class _Stranger(object):
    pass


_STRANGERS = (
    (_Stranger(), 7306391.25, "\x00stranger", (7306391, "x"), operator),
    (7306391, -5507),
    ("\x00stranger", "\x00other"),
    ([7306391], [-5507]),
    ({"x": 7306391}, {"x": -5507}),
)
"""Of each kind no two are equal, so that nothing is equal to both."""


def _equals_all(owner, object_):
    """`object_` is one that exists, else (None) one is made without its constructor."""
    if object_ is None:
        base = next((b for b in owner.__mro__ if b.__module__ == "builtins" and b is not owner), object)
        try:
            object_ = base.__new__(owner)
        except Exception:
            return False
    return any(sum(_is_equal(object_, other, owner) for other in kind) >= 2 for kind in _STRANGERS)


def _is_equal(object_, other, owner):
    try:
        return bool(object_ == other) and not isinstance(other, owner)
    except Exception:
        return False
