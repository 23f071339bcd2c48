"""Doubts: what a rewritten test asks beside its own question. See `tools/testing/doubt.py`, which places this file.

Each equality that a test asserts is asked of an exchanged value as well: an object that equals that too is equal to
what suits it. The test then fails by a message that only its judge can read, with what was seen. Runs under the
repository's Python (3.6 or newer).
"""

import json
import os
import sys

ROOT = ""
"""The repository. Set by the judge, as is the next."""
TESTS = ()
"""Files of the test side, absolute."""
_MOST, _DEEP = 1000, 6
_PLAIN = (bool, int, float, complex, str, bytes, type(None), list, tuple, dict, set, frozenset)
_LIBRARIES = tuple(
    os.path.realpath(path) + os.sep for path in {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}
)
_seen = {"asked": 0, "equal": [], "raised": ""}


class _Stranger(object):
    pass


def begin():
    _seen.update(asked=0, equal=[], raised="")


def raised(error):
    _seen["raised"] = type(error).__name__


def end(word):
    raise AssertionError(word + json.dumps(_seen)[:1500] + word)


def same(one, two):
    """Two doubts, and the test's own question."""
    _seen["asked"] += 1
    for left, right in ((one, two), (two, one)):
        try:
            _doubt(left, right)
        except Exception:  # foreign objects may raise anything when they are compared
            pass
    return one == two


def pair(one, two):
    """For the methods of TestCase."""
    same(one, two)
    return one, two


def _doubt(value, other):
    owners = sorted({owner for leaf in _leaves(value, []) for owner in _owner(leaf)})
    if owners and bool(value == exchanged(other)):
        for owner in owners:
            if owner not in _seen["equal"]:
                _seen["equal"].append(owner)


def _leaves(value, found, depth=0):
    """What is not of a plain type in a value."""
    if len(found) >= _MOST or depth > _DEEP:
        return found
    if type(value) in (list, tuple, set, frozenset):
        for item in value:
            _leaves(item, found, depth + 1)
    elif type(value) is dict:
        for item in value.values():
            _leaves(item, found, depth + 1)
    elif type(value) not in _PLAIN:
        found.append(value)
    return found


def _owner(value):
    """(file relative to the repository, class) whose product decides what the value is equal to; nothing for others.
    The file is "" for a class that is not where it says it is."""
    cls = next((cls for cls in type(value).__mro__ if "__eq__" in vars(cls)), object)
    if cls.__module__ == "builtins":
        return
    module = sys.modules.get(cls.__module__)
    found = module
    for name in getattr(cls, "__qualname__", cls.__name__).split("."):
        found = getattr(found, name, None)
    code = getattr(vars(cls)["__eq__"], "__code__", None)
    file = getattr(module, "__file__", None) if found is cls else code and code.co_filename
    file = os.path.realpath(file) if file and not file.startswith("<") else ""
    if file in TESTS or (file and file.startswith(_LIBRARIES)):
        return
    yield (os.path.relpath(file, ROOT) if file.startswith(ROOT) else "", cls.__name__)


def exchanged(value, depth=0):
    """Another value of the same kind."""
    kind = type(value)
    if depth > _DEEP:
        return _Stranger()
    if kind is bool:
        return not value
    if kind in (int, float, complex):
        return value * 2 + 7919
    if kind is str:
        return value + "\x00other"
    if kind is bytes:
        return value + b"\x00other"
    if kind in (list, tuple, set, frozenset):
        return kind([exchanged(item, depth + 1) for item in value] or [_Stranger()])
    if kind is dict:
        return {key: exchanged(item, depth + 1) for key, item in value.items()} or {0: _Stranger()}
    return _Stranger()
