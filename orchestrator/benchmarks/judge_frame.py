"""The frame of a judge's program: it is copied beside a solution, with the checks in its middle, and run there.

The process that is started first never loads the solution. It gives its child a token, and the child gives it
back after the last check: a solution that ends the process early cannot pass. It needs the standard library
only, and cannot shut out a solution that searches its own process for the token; `tampering` looks for that.
"""

import builtins
import functools
import os
import subprocess
import sys
import unittest

_BUILTINS = dict(vars(builtins))
_EXACT = {
    bool: bool,
    int: lambda v: int.__add__(v, 0),
    float: lambda v: float.__add__(v, 0.0),
    complex: lambda v: complex.__add__(v, 0j),
    str: lambda v: str.__add__(v, ""),
    bytes: lambda v: bytes.__add__(v, b""),
    list: lambda v: [_plain(item) for item in list.__iter__(v)],
    tuple: lambda v: tuple(_plain(item) for item in tuple.__iter__(v)),
    set: lambda v: set(set.__iter__(v)),
    frozenset: lambda v: frozenset(frozenset.__iter__(v)),
    dict: lambda v: {key: _plain(item) for key, item in dict.items(v)},
}


class _Stranger:
    pass


def _supervise():
    token = os.urandom(32)
    given, give = os.pipe()
    taken, take = os.pipe()
    command = [sys.executable, __file__, str(given), str(take)]
    with subprocess.Popen(command, pass_fds=(given, take)) as child:
        os.close(given)
        os.close(take)
        os.write(give, token)
        os.close(give)
        code = child.wait()
    os.set_blocking(taken, False)
    try:
        ended = os.read(taken, 64) == token
    except BlockingIOError:
        ended = False
    if code == 0 and not ended:
        print("the solution ended the process before the last check", file=sys.stderr)
    sys.exit(code if code else 0 if ended else 1)


def _begin():
    given, take = int(sys.argv[1]), int(sys.argv[2])
    sys.argv[1:] = []
    token = os.read(given, 32)
    os.close(given)
    os.set_inheritable(take, False)
    write = os.write

    def end():
        changed = [name for name, value in _BUILTINS.items() if vars(builtins).get(name) is not value]
        if set(changed) - {"_"}:
            raise SystemExit("the solution replaced " + ", ".join(changed))
        write(take, token)

    return end


def _plain(value):
    """A value as the judge compares it: what the solution made of a built-in type is one again."""
    kind = type(value)
    if kind in (list, tuple, dict):
        return _EXACT[kind](value)
    home = sys.modules.get(kind.__module__)
    known = getattr(home, kind.__qualname__, None) is kind and kind.__module__ != "solution"
    if known:
        return value
    for base, exact in _EXACT.items():
        if isinstance(value, base) and not hasattr(kind, "_fields"):
            return exact(value)
    if value == _Stranger() or value == "\x00stranger":
        raise SystemExit("the result is equal to everything")
    return value


def _judged(function):
    if isinstance(function, type):
        return function

    @functools.wraps(function)
    def wrapper(*arguments, **named):
        return _plain(function(*arguments, **named))

    return wrapper


def _unittests():
    done = unittest.main(exit=False).result
    if not done.testsRun or not done.wasSuccessful():
        raise SystemExit(1)


if len(sys.argv) < 3:
    _supervise()
_end = _begin()
sys.path.insert(0, ".")
import solution  # pyright: ignore[reportMissingImports]  # noqa: E402

for _name, _value in list(vars(solution).items()):
    if not _name.startswith("_") and _name not in _BUILTINS:
        globals()[_name] = _judged(_value) if callable(_value) and not isinstance(_value, type) else _value
# CHECKS
_end()
