"""redact: no secret leaves in an export, and the manifest says how many of which kind were found.

A run masks what it knows when it writes its log; this is the second net, for records from elsewhere and for
secrets that only appeared in what tools printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ....agents.models.prompt_digest import ROOT
from ....tools.secrets import Masker
from ...record.build import validated
from ...record.graph import chains
from ...record.schema import Trajectory
from ...record.trajectory_file import dump

_SHAPES: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "url-password",
        ("://",),
        re.compile(r"[^\s/:@\"'\\<>\[\]]{1,64}:(?P<secret>[^\s/@\"'\\<>\[\]]{3,256})(?=@)"),
    ),
    (
        "assigned-secret",
        (
            *("api_key", "API_KEY", "apikey", "apiKey", "APIKEY", "api-key", "access_key", "ACCESS_KEY"),
            *("secret_key", "SECRET_KEY", "secret", "SECRET", "Secret", "access_token", "ACCESS_TOKEN"),
            *("auth_token", "AUTH_TOKEN", "api_token", "_TOKEN", "password", "PASSWORD", "passwd", "PASSWD"),
        ),
        re.compile(
            r"[\"'\\]{0,3}\s{0,3}[=:]\s{0,3}[\"'\\]{0,3}"
            r"(?P<secret>(?=[A-Za-z0-9/+_=-]{0,40}[0-9])(?=[A-Za-z0-9/+_=-]{0,40}[A-Za-z])[A-Za-z0-9/+_=-]{16,})"
        ),
    ),
)
"""(kind, needles, what follows a needle). What a masker of live output leaves alone, because it may be part
of the work; in training data it goes."""


class Redactor:
    """Counts what it removes: what `tools.secrets.Masker` knows, then `_SHAPES`."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Values of secret variables in `environment` (None: the exporter's own) are removed too."""
        known = os.environ if environment is None else environment
        self._masker = Masker(known)
        self._probe = Masker(known)
        self._counts: Counter[str] = Counter()
        self.dropped_tokens = 0
        """Messages whose token ids were dropped because they spelled a secret."""

    @property
    def counts(self) -> Counter[str]:
        """Kind → how many were removed."""
        return self._counts + self._masker.counts

    def text(self, text: str) -> str:
        """`text` without secrets; each is replaced by `[masked:KIND]`."""
        text = self._masker.mask(text)
        for kind, needles, pattern in _SHAPES:
            spans = sorted(match.span("secret") for match in _found(text, needles, pattern))
            for start, end in reversed(spans):
                if not text.startswith(("[masked:", "masked:"), start):
                    text = f"{text[:start]}[masked:{kind}]{text[end:]}"
                    self._counts[kind] += 1
        return text

    def record(self, record: Trajectory, line: str | None = None) -> Trajectory:
        """The record without secrets (itself when it has none); `line` is its JSON where the caller has it. Where a message changed, the prompt digests are made anew and the token
        ids at and below it are dropped: ids spell what they stand for."""
        line = line if line is not None else dump(record)
        if not self._suspicious(line):
            return record
        before = self.counts.total()
        data = json.loads(line)
        changed: set[str] = set()
        for message in data["messages"]:
            if self._message(message) or message["parent"] in changed:
                changed.add(message["id"])
                self.dropped_tokens += message["tokens"] is not None
                message["tokens"] = None
        for patch in data["patches"]:
            text = self.text(patch["text"])
            if text != patch["text"]:
                patch["text"] = text
                patch["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        for key in set(data) - {"messages", "patches", "calls", "run_id", "schema_version"}:
            data[key] = _mapped(data[key], self.text)
        if self.counts.total() == before:
            return record
        clean = validated(data)
        if changed:
            chain = chains(clean.messages)
            parents = {message.id: message.parent for message in clean.messages}
            for call in clean.calls:
                if call.prompt_sha256 is not None:
                    above = parents[call.message]
                    call.prompt_sha256 = (chain[above] if above is not None else ROOT).hex()
        return clean

    def _suspicious(self, line: str) -> bool:
        """A cheap look at the whole record as JSON text."""
        if any(next(_found(line, needles, pattern), None) for _, needles, pattern in _SHAPES):
            return True
        return self._probe.mask(line) != line

    def _message(self, message: dict[str, Any]) -> bool:
        keys = ("content", "reasoning", "tool_calls", "error")
        before = {key: message[key] for key in keys}
        message["content"] = _mapped(message["content"], self.text)
        message["reasoning"] = _mapped(message["reasoning"], self.text)
        message["error"] = _mapped(message["error"], self.text)
        message["tool_calls"] = [self._call(call) for call in message["tool_calls"]]
        return any(message[key] != before[key] for key in keys)

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        raw, parsed = call["function"]["arguments"], call["arguments_parsed"]
        if parsed is None:
            return {**call, "function": {**call["function"], "arguments": self.text(raw)}}
        clean = _mapped(parsed, self.text)
        if clean == parsed:
            return call
        arguments = json.dumps(clean, ensure_ascii=False)
        return {**call, "function": {**call["function"], "arguments": arguments}, "arguments_parsed": clean}


def _found(text: str, needles: Sequence[str], pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Matches that begin right after a needle. Looking for needles first is many times faster than a pattern
    that starts with them."""
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            at += len(needle)
            match = pattern.match(text, at)
            if match is not None:
                yield match
            at = text.find(needle, at)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return value
