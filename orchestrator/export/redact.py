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
from collections.abc import Callable, Mapping
from typing import Any

from ...agents.models.prompt_digest import ROOT
from ..record.build import validated
from ..record.graph import chains
from ..record.schema import Trajectory
from ..record.trajectory_file import dump

_PATTERNS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (kind, triggers, re.compile(pattern))
    for kind, triggers, pattern in (
        (
            "private-key",
            ("PRIVATE KEY",),
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
        ),
        (
            "github-token",
            ("gh", "github_pat_"),
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
        ),
        ("gitlab-token", ("glpat-",), r"\bglpat-[A-Za-z0-9_-]{16,}"),
        ("model-key", ("sk-",), r"\bsk-(?:[A-Za-z]+-)*[A-Za-z0-9_-]{20,}"),
        ("aws-key", ("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("google-key", ("AIza",), r"\bAIza[A-Za-z0-9_-]{35}"),
        ("slack-token", ("xox",), r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("hub-token", ("hf_",), r"\bhf_[A-Za-z0-9]{20,}"),
        ("package-token", ("npm_", "pypi-"), r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-AgEI[A-Za-z0-9_-]{20,})"),
        ("jwt", ("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        ("bearer", ("earer ",), r"(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"),
        ("url-password", ("://",), r"(?<=://)[^\s/:@\"'\\]{1,64}:[^\s/@\"'\\]{3,}(?=@)"),
        (
            "assigned-secret",
            ("ey", "EY", "ecret", "ECRET", "oken", "OKEN", "assw", "ASSW"),
            r"(?i)(?<=[a-z_-])(?:api_?key|secret(?:_?(?:access_?)?key)?|access_?token|auth_?token|passw(?:or)?d)"
            r"[\"'\\]{0,3}\s{0,3}[=:]\s{0,3}[\"'\\]{0,3}(?=[^\s\"'\\]{0,40}\d)(?=[^\s\"'\\]{0,40}[A-Za-z])"
            r"[A-Za-z0-9/+_.=-]{16,}",
        ),
    )
)
_NAMES = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")


class Redactor:
    """Counts what it removes. Known values (of the exporter's own environment) come before patterns."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        known = os.environ if environment is None else environment
        self._known = sorted(
            {value for name, value in known.items() if _NAMES.search(name.upper()) and len(value) >= 8},
            key=lambda value: (-len(value), value),
        )
        self.counts: Counter[str] = Counter()
        self.dropped_tokens = 0
        """Messages whose token ids were dropped because they spelled a secret."""

    def text(self, text: str) -> str:
        """`text` without secrets; each is replaced by `[redacted:KIND]`."""
        for value in self._known:
            if value in text:
                self.counts["environment"] += text.count(value)
                text = text.replace(value, "[redacted:environment]")
        for kind, triggers, pattern in _PATTERNS:
            if any(trigger in text for trigger in triggers):
                text, count = pattern.subn(f"[redacted:{kind}]", text)
                if count:
                    self.counts[kind] += count
        return text

    def record(self, record: Trajectory) -> Trajectory:
        """The record without secrets. Where a message changed, the prompt digests are made anew and the token
        ids at and below it are dropped: ids spell what they stand for."""
        line = dump(record)
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
        """A cheap look at the whole record. JSON escapes no character that patterns need, except in known
        values, which are looked up in their escaped form too."""
        if any(value in line or json.dumps(value, ensure_ascii=False)[1:-1] in line for value in self._known):
            return True
        return any(
            any(trigger in line for trigger in triggers) and pattern.search(line) is not None
            for _, triggers, pattern in _PATTERNS
        )

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


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return value
