"""ScriptedWire: a model that answers from a JSON file (format in docs/models.md).

It takes the ordinary path: its failures are retried, its calls are journaled, budgeted and observed. Each
scope consumes its own list by the number of the call, so answers do not depend on what runs beside it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ...tools.files import reason_of
from ..message import Message, ToolCall
from .calls import Usage
from .failures import from_status
from .wire import Answer, Request, WireError

Turn = Mapping[str, Any]
_FIELDS = frozenset(
    {"content", "reasoning", "tool_calls", "finish_reason", "usage", "delay_s", "error", "repeat", "logprobs"}
)


class ScriptedWire:
    """Answers of one script."""

    def __init__(
        self, turns: Mapping[str, Sequence[Turn]], default: Sequence[Turn] = (), name: str = "script"
    ) -> None:
        self._turns = turns
        self._default = default
        self._name = name
        self._attempts: dict[tuple[str, int], int] = {}

    @classmethod
    def load(cls, path: str) -> ScriptedWire:
        """Raises: UsageError when the file is missing or not a script."""
        try:
            script = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"the model script {path} cannot be read: {reason_of(error)}") from error
        if not isinstance(script, dict) or not set(script) <= {"turns", "default", "comment"}:
            raise UsageError(f"the model script {path} must be an object with `turns` and `default`")
        turns, default = script.get("turns", {}), script.get("default", [])
        lists = {**turns, "default": default} if isinstance(turns, dict) else {"turns": turns}
        for key, steps in lists.items():
            if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
                raise UsageError(f"the model script {path}: {key!r} must be a list of objects")
            for number, step in enumerate(steps):
                if unknown := set(step) - _FIELDS:
                    raise UsageError(
                        f"the model script {path}: turn {number} of {key!r} has unknown {sorted(unknown)}"
                    )
        return cls(turns, default, path)

    async def ready(self) -> None:
        """Nothing to import."""

    async def attempt(self, request: Request, key: str | None) -> Answer:
        turn = self._turn(request)
        place = (request.scope, request.index)
        self._attempts[place] = self._attempts.get(place, 0) + 1
        delay = float(turn.get("delay_s", 0.0))
        if delay > request.timeout_s:
            await asyncio.sleep(request.timeout_s)
            raise WireError("timeout", f"no answer within {request.timeout_s:g} s")
        if delay:
            await asyncio.sleep(delay)
        error = turn.get("error")
        if error is not None and self._attempts[place] <= error.get("times", 1_000_000):
            raise _failure(error)
        answer = _answer(turn)
        if request.on_text is not None and answer.message.content:
            request.on_text(answer.message.content)
        return answer

    def expected(self, request: Request) -> Usage:
        """What the next answer will cost, so that a budget can reserve it exactly."""
        try:
            return _usage(self._turn(request))
        except WireError:
            return Usage()

    def parameters(self, request: Request) -> None:
        """Nothing of a request reaches an endpoint of ours."""

    async def close(self) -> None:
        self._attempts.clear()

    def _turn(self, request: Request) -> Turn:
        steps = self._steps(request.scope, request.sampling.seed)
        if request.index < len(steps):
            return steps[request.index]
        if steps and steps[-1].get("repeat"):
            return steps[-1]
        raise WireError(
            "fatal",
            f"{self._name} has {len(steps)} turns for {request.scope or 'the call'}, and no turn {request.index}",
        )

    def _steps(self, scope: str, seed: int | None) -> Sequence[Turn]:
        """Exact scope, then the first glob, then a role on the path; of each first with `@seed`."""
        parts = scope.split("/")
        candidates = [
            scope,
            *(key for key in self._turns if fnmatchcase(scope, key.split("@")[0])),
            *reversed(parts),
        ]
        for suffix in ([f"@{seed}"] if seed is not None else []) + [""]:
            for candidate in candidates:
                key = candidate.split("@")[0] + suffix
                if key in self._turns:
                    return self._turns[key]
        return self._default


def _failure(error: Mapping[str, Any]) -> WireError:
    status = error.get("status")
    message = str(error.get("message", "scripted failure"))
    if status is None:
        return WireError("transient", message, retry_after_s=error.get("retry_after_s"))
    body = {"error": {"message": message, "code": error.get("code", ""), "param": error.get("param")}}
    headers = {"retry-after": str(error["retry_after_s"])} if "retry_after_s" in error else {}
    return from_status(int(status), body, headers)


def _answer(turn: Turn) -> Answer:
    calls = [
        ToolCall(
            call.get("id", ""),
            call["name"],
            given
            if isinstance(given := call.get("arguments", {}), str)
            else json.dumps(given, ensure_ascii=False),
        )
        for call in turn.get("tool_calls", ())
    ]
    return Answer(
        Message("assistant", turn.get("content", ""), turn.get("reasoning"), tuple(calls)),
        finish_reason=turn.get("finish_reason", "tool_calls" if calls else "stop"),
        usage=_usage(turn),
        served_model="scripted",
        logprobs=turn.get("logprobs"),
    )


def _usage(turn: Turn) -> Usage:
    usage = turn.get("usage", {})
    return Usage(
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
        cached_tokens=usage.get("cached_tokens"),
        reasoning_tokens=usage.get("reasoning_tokens"),
        cost_usd=usage.get("cost_usd", 0.0),
    )
