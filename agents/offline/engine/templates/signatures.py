"""Signatures: which switches (parameters with a bool as default) a callee has, by its name.

The callee's type is not known, so the answer is of all that bear the name among the builtins, the containers of the
standard library and what the file itself defines.
"""

from __future__ import annotations

import ast
import builtins
import collections
import inspect
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, List, Tuple

Flag = Tuple[str, bool]
"""(parameter, default)"""
_OWNERS = (
    str, bytes, list, dict, set, int, collections.OrderedDict, collections.deque, collections.Counter,
    collections.defaultdict, collections.ChainMap,
)  # fmt: skip
_MODULES = (
    "json",
    "re",
    "itertools",
    "functools",
    "textwrap",
    "shutil",
    "os",
    "os.path",
    "difflib",
    "inspect",
)


@lru_cache(maxsize=4096)
def _known_flags(name: str, method: bool) -> Tuple[Tuple[str, bool, int], ...]:
    """(parameter, default, position) of the standard library's callees of this name."""
    if name.startswith("__") or not name:
        return ()
    owners: List[Any] = (
        [*_OWNERS, *(sys.modules[m] for m in _MODULES if m in sys.modules)] if method else [builtins]
    )
    found: List[Tuple[str, bool, int]] = []
    for owner in owners:
        try:
            parameters = list(inspect.signature(getattr(owner, name)).parameters.values())
        except (AttributeError, TypeError, ValueError):
            continue
        shift = 1 if isinstance(owner, type) else 0
        found += [
            (p.name, p.default, 999 if p.kind is p.KEYWORD_ONLY else at - shift)
            for at, p in enumerate(parameters)
            if isinstance(p.default, bool) and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    return tuple(dict.fromkeys(found))


def flags_of(name: str, method: bool, given: int, own: Sequence[ast.FunctionDef] = ()) -> List[Flag]:
    """Switches that a call with `given` positional arguments leaves at their defaults. `own`: functions of this
    name in the file."""
    found = [(flag, value) for flag, value, at in _known_flags(name, method) if at >= given]
    for node in own:
        found += _own_flags(node, given + int(method))
    return list(dict.fromkeys(found))[:6]


def _own_flags(node: ast.FunctionDef, given: int) -> List[Flag]:
    spec = node.args
    plain = [*spec.posonlyargs, *spec.args]
    pairs = list(zip(plain[len(plain) - len(spec.defaults) :], spec.defaults))
    pairs = [(arg, default) for arg, default in pairs if plain.index(arg) >= given]
    pairs += [
        (arg, default) for arg, default in zip(spec.kwonlyargs, spec.kw_defaults) if default is not None
    ]
    return [
        (arg.arg, default.value)
        for arg, default in pairs
        if isinstance(default, ast.Constant) and isinstance(default.value, bool)
    ]
