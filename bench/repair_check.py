"""Differential check: a repaired program against the reference on random inputs. Run as a program of its own
(`python repair_check.py TASK.json`), for what it executes may hang or eat memory."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import repair_graphs
from repair_inputs import Inputs
from repair_tasks import Task


@dataclass(frozen=True)
class Agreement:
    """Outcome of a check; `compared` inputs counted, of which the first difference is told."""

    same: bool | None
    """None: the check itself failed, which says nothing about the program."""
    compared: int
    difference: str = ""


_ENOUGH = 100
"""Inputs after which a check that has taken `_LONG_S` processor seconds may end."""
_LONG_S = 60.0
_LATE = 20
"""Inputs that may take the reference half a second; then only short ones are waited for."""


class _TooLong(BaseException):
    pass


def check(task: Task, repaired: str, *, count: int = 1000, seed: int = 0, limit_s: int = 400) -> Agreement:
    """Compare `repaired` (source text) with the task's reference on `count` random inputs, in `limit_s` processor
    seconds.

    Inputs on which the reference raises, or takes longer than half a second of processor time, do not count;
    of a reference that often takes as long fewer inputs are drawn.
    """
    with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
        request = {
            "task": asdict(task),
            "repaired": repaired,
            "count": count,
            "seed": seed,
            "limit_s": limit_s,
        }
        pickle.dump(request, file)
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, __file__, file.name],
                capture_output=True,
                text=True,
                timeout=10 * limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Agreement(None, 0, "the check did not come to an end")
    if done.returncode == -signal.SIGXCPU:
        return Agreement(False, 0, "a call did not come to an end")
    try:
        return Agreement(**json.loads(done.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return Agreement(None, 0, f"the check failed: {done.stderr.strip()[-200:]}")


def _load(source: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


def _recorded(task: Task, function: Callable[..., Any], module: types.ModuleType) -> list[tuple[Any, ...]]:
    """Arguments that the task's own `check` calls the reference with."""
    calls: list[tuple[Any, ...]] = []

    def record(*arguments: Any) -> Any:
        with contextlib.suppress(Exception):
            calls.append(copy.deepcopy(arguments))
        return function(*arguments)

    namespace = dict(module.__dict__)
    exec(compile(task.check, "<check>", "exec"), namespace)
    with contextlib.suppress(Exception):
        namespace["check"](record)
    return calls


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...], limit: float) -> tuple[str, Any]:
    """`limit`: processor seconds, for a crowded machine must not make a right program late."""
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            value = function(*arguments)
            if isinstance(value, types.GeneratorType) or type(value).__name__ in (
                "map",
                "filter",
                "zip",
                "range",
            ):
                value = list(value)
        if value is None:
            value = ("in place", arguments)
        return "value", repair_graphs.plain(value)
    except _TooLong:
        return "time", None
    except Exception as error:  # the program under check may raise anything
        return "error", type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, float) or isinstance(two, float):
        try:
            return math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-9) or (one != one and two != two)
        except (TypeError, OverflowError):
            return False
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(_equal(a, b) for a, b in zip(one, two, strict=True))
    try:
        return bool(one == two)
    except Exception:  # comparison of foreign objects
        return False


def _main(path: str) -> None:
    with Path(path).open("rb") as file:
        request = pickle.load(file)
    task = Task(**request["task"])
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (request["limit_s"], request["limit_s"] + 5))
    signal.signal(signal.SIGPROF, _alarm)
    node = types.ModuleType("node")
    node.Node = repair_graphs.Node  # type: ignore[attr-defined]
    sys.modules["node"] = node
    reference_module = _load(task.reference, "reference")
    reference = getattr(reference_module, task.entry_point)
    repaired = getattr(_load(request["repaired"], "repaired"), task.entry_point)
    if task.graph:

        def draw(number: int) -> tuple[Any, ...]:
            return repair_graphs.arguments(task.entry_point, request["seed"] + number)
    else:
        known = [tuple(a) for a in task.inputs] or _recorded(task, reference, reference_module)
        inputs = Inputs(known, request["seed"])
        drawn = [copy.deepcopy(a) for a in known]
        drawn += [inputs.draw() for _ in range(request["count"])]

        def draw(number: int) -> tuple[Any, ...]:
            return copy.deepcopy(drawn[number]) if number < len(drawn) else inputs.draw()

    compared = late = 0
    for number in range(request["count"]):
        if compared >= _ENOUGH and time.process_time() > _LONG_S:
            break  # a reference of exponential cost
        kind, expected = _outcome(reference, draw(number), 0.5 if late < _LATE else 0.05)
        late += kind == "time"
        if kind != "value":
            continue
        compared += 1
        kind, got = _outcome(repaired, draw(number), 2.0)
        if kind != "value" or not _equal(expected, got):
            told = f"{draw(number)!r:.200}: expected {expected!r:.100}, got {kind} {got!r:.100}"
            print(json.dumps(asdict(Agreement(False, compared, told))))
            return
    print(json.dumps(asdict(Agreement(compared > 0, compared))))


def _alarm(signum: int, frame: Any) -> None:
    raise _TooLong


if __name__ == "__main__":
    _main(sys.argv[1])
