"""Soft assertions: a test goes on after a failed assertion, so that one test yields many outcomes.

A suite with one long test gives spectrum-based localisation nothing to compare; per-assertion outcomes do
(cf. test-case purification, Xuan and Monperrus 2014). Screening alone uses this; the verdict about a
candidate always comes from the test as it was written.
"""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Callable
from typing import Any

HOOK = "__repair_soft__"


class Recorder:
    """Outcomes of assertions in the order in which they ran."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bool]] = []
        self.cut: Callable[[int, bool], None] | None = None
        self.met: list[str] = []
        """Names of the exceptions that ended an assertion, each once."""

    def __call__(self, line: int, error: BaseException | None) -> None:
        self.events.append((line, error is None))
        name = type(error).__name__
        if error is not None and name not in self.met:
            self.met.append(name)
        if self.cut is not None:
            self.cut(line, error is None)

    def reset(self) -> None:
        self.events = []


def install(recorder: Recorder) -> None:
    setattr(builtins, HOOK, recorder)


class _Soften(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> Any:
        return self._wrap(node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            owner = call.func.value
            if isinstance(owner, ast.Name) and owner.id == "self" and call.func.attr.startswith("assert"):
                return self._wrap(node)
        return node

    def _wrap(self, node: ast.stmt) -> ast.stmt:
        def report(name: str) -> ast.stmt:
            value: ast.expr = ast.Name(name, ast.Load()) if name else ast.Constant(None, kind=None)
            call = ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(node.lineno, kind=None), value], [])
            return ast.Expr(call)

        handler = ast.ExceptHandler(
            ast.Name("Exception", ast.Load()), "__repair_error__", [report("__repair_error__")]
        )
        wrapped = ast.Try(body=[node], handlers=[handler], orelse=[report("")], finalbody=[])
        return ast.fix_missing_locations(ast.copy_location(wrapped, node))


def soften(path: str, functions: list[types.FunctionType]) -> int:
    """Give the functions of one test file soft assertions, in place; how many were changed."""
    try:
        with open(path, encoding="utf-8") as handle:
            tree = ast.parse(handle.read())
        code = compile(_Soften().visit(tree), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return 0
    table: dict[tuple[int, str], types.CodeType] = {}
    stack = [code]
    while stack:
        for const in stack.pop().co_consts:
            if isinstance(const, types.CodeType):
                table[(const.co_firstlineno, const.co_name)] = const
                stack.append(const)
    changed = 0
    for function in functions:
        new = table.get((function.__code__.co_firstlineno, function.__code__.co_name))
        if new is not None and new.co_freevars == function.__code__.co_freevars:
            function.__code__ = new
            changed += 1
    return changed
