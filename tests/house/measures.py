"""The house in figures: `python tests/house/measures.py` prints them; tests/house holds them.

Of the code that ships (agents, orchestrator, prompts, tools): files, lines, the longest file, functions over
complexity 12 (McCabe's, as ruff counts it), `dict[str, Any]` and `Mapping[str, Any]`, import circles with
the imports inside functions included, class names that mean two things on one storey.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOREYS = ("prompts", "tools", "agents", "orchestrator")
COMPLEX = 12
_UNTYPED = re.compile(r"\b(?:dict|Mapping|MutableMapping|Dict)\[str, Any\]")


@dataclass(frozen=True, slots=True)
class Module:
    """A module by its dotted name below the root, with its text."""

    name: str
    path: Path
    text: str

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def room(self) -> str:
        """The folder it lies in, at most two deep: `tools.sandbox`, `agents`."""
        return ".".join(self.path.relative_to(ROOT).parent.parts[:2])

    def tree(self) -> ast.Module:
        return _parse(self.text)

    def imports(self) -> Iterator[tuple[str, ast.ImportFrom]]:
        """Modules of ours that it imports, anywhere in the file."""
        for node in ast.walk(self.tree()):
            if isinstance(node, ast.ImportFrom) and node.level:
                parts = self.package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield (full if full in modules() else base), node


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def modules() -> Mapping[str, Module]:
    """Dotted name → module, of all that ships."""
    found = {}
    for storey in STOREYS:
        for path in sorted((ROOT / storey).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, path, path.read_text(encoding="utf-8"))
    return found


def circles() -> list[tuple[str, ...]]:
    """Strongly connected groups of modules, imports inside functions included; type-checking ones are not."""
    graph: dict[str, set[str]] = {}
    for module in modules().values():
        typing_only = {
            id(child)
            for node in ast.walk(module.tree())
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            for child in ast.walk(node)
        }
        graph[module.name] = {
            target
            for target, node in module.imports()
            if target in modules() and target != module.name and id(node) not in typing_only
        }
    return sorted(group for group in _components(graph) if len(group) > 1)


def _components(graph: Mapping[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(graph[name]):
            if target not in index:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == index[name]:
            at = stack.index(name)
            found.append(tuple(sorted(stack[at:])))
            del stack[at:]

    for name in sorted(graph):
        if name not in index:
            visit(name)
    yield from found


def repeated_classes() -> dict[str, list[str]]:
    """`storey: name` of public classes → the rooms that each define one of their own."""
    rooms: dict[tuple[str, str], set[str]] = defaultdict(set)
    for module in modules().values():
        for node in module.tree().body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                rooms[module.name.split(".")[0], node.name].add(module.room)
    return {
        f"{storey}: {name}": sorted(found)
        for (storey, name), found in sorted(rooms.items())
        if len(found) > 1
    }


def functions() -> int:
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for module in modules().values()
        for node in ast.walk(module.tree())
    )


def complex_functions() -> list[str]:
    """`file:line name (complexity)` of functions over COMPLEX."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "C901", "--output-format", "concise",
         "--config", f"lint.mccabe.max-complexity={COMPLEX}", *STOREYS],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if "C901" in line]


def lines() -> int:
    return sum(module.text.count("\n") for module in modules().values())


def untyped() -> int:
    return sum(len(_UNTYPED.findall(module.text)) for module in modules().values())


def main() -> None:
    sizes = {name: module.text.count("\n") for name, module in modules().items()}
    longest = max(sizes, key=lambda name: sizes[name])
    wrong, total, group = complex_functions(), functions(), circles()
    print(
        f"files {len(sizes)}, lines {lines()}, median {statistics.median(sizes.values()):.0f}, longest {longest} {sizes[longest]}"
    )
    print(
        f"functions {total}, over complexity {COMPLEX}: {len(wrong)} = {1000 * len(wrong) / total:.1f} per 1000"
    )
    print(f"untyped mappings {untyped()} = {1000 * untyped() / lines():.1f} per 1000 lines")
    print(f"import circles {len(group)}, class names in several rooms {len(repeated_classes())}")
    for label, found in (("complex", wrong), ("circle", group), ("class", repeated_classes().items())):
        for item in found:
            print(f"  {label}: {item}")


if __name__ == "__main__":
    main()
