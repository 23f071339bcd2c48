"""No way from what solves to the data that judges it."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from swe_agent.orchestrator.benchmarks.sealed import Gold, SealedError
from swe_agent.orchestrator.benchmarks.sealed import SealedGold as Sealed
from swe_agent.orchestrator.request import SolveRequest
from swe_agent.orchestrator.search.config import SearchConfig
from swe_agent.orchestrator.search.node import Measurement
from swe_agent.orchestrator.search.request import ExpandRequest
from swe_agent.orchestrator.search.search import search
from swe_agent.orchestrator.solving.issue import Issue

from .toy import Toy

ROOT = Path(__file__).resolve().parents[2]
SOLVERS = [
    "orchestrator.solving.solve",
    "orchestrator.solving.strategy",
    "orchestrator.solving.rollout",
    "orchestrator.search.search",
]
SEALED = ("orchestrator.grading", "orchestrator.benchmarks")


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(module: str) -> set[str]:
    path = _file(module)
    assert path is not None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("swe_agent.")):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module or "").removeprefix("swe_agent.").split(".")]).strip(".")
            found |= {stem, *(f"{stem}.{alias.name}" for alias in node.names)}
    return {name for name in found if _file(name) is not None}


def reachable(module: str) -> set[str]:
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += _imports(name)
    return seen


@pytest.mark.parametrize("module", SOLVERS)
def test_no_import_leads_from_solving_to_judging(module: str) -> None:
    """Lazy imports inside functions count too."""
    found = reachable(module)
    assert len(found) > 5, "the walk itself works"
    assert [name for name in sorted(found) if name.startswith(SEALED)] == []


def test_the_walk_would_find_one() -> None:
    assert any(name.startswith(SEALED) for name in reachable("orchestrator.benchmarks.instance"))


def test_running_a_search_loads_nothing_that_judges() -> None:
    code = (
        "import sys; import swe_agent.orchestrator.solving.solve, swe_agent.orchestrator.search.search; "
        "print([m for m in sys.modules if 'orchestrator.grading' in m or 'orchestrator.benchmarks' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_search_hands_out_has_no_place_for_gold() -> None:
    names = {field.name for kind in (ExpandRequest, Measurement, Issue) for field in fields(kind)} | set(
        SolveRequest.model_fields
    )
    assert not names & {"evaluation", "gold", "test_patch", "fail_to_pass", "pass_to_pass", "eval_script"}


def test_a_poisoned_field_raises_when_read_and_a_search_beside_it_never_does() -> None:
    class Instance:
        issue = "wrong sum"
        evaluation = Sealed.poisoned("toy-1")

    class World(Toy):
        instance = Instance()

    class Quiet:
        def append(self, event: object) -> int:
            return 0

        def recall(self, kind: object, *name: object) -> None:
            return None

    world = World(Quiet())
    result = asyncio.run(search(world.expand, SearchConfig(samples=4), Quiet()))
    assert result.selected is not None
    with pytest.raises(SealedError):
        world.instance.evaluation.open()
    with pytest.raises(SealedError):
        Sealed("toy-1", Gold(patch="x")).open()
