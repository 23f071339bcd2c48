"""EventLog: the append-only source of truth of a run (`events.jsonl`).

One JSON object per line: `{"seq": int, "at": unix seconds, "type": str, ...fields}`, fsynced before
`append` returns, so that whatever was paid for is on disk. Everything else (record, report, preds,
resume, replay) derives from it. A torn last line (the process was killed) is dropped on reading.

The vocabulary. Ids are strings unique in the run; `node` names a search node, "" the run itself:

- run_started: schema, run_id, issue, repository, base_commit, config (no secrets), versions, seed, is_llm
- inference: what, value, why, flag          - baseline: tests {id: outcome}, flaky [id], duration_s
- toolset: name, tools [schema]              - agent: name, role, model, sampling, toolset, is_llm
- message: id, parent|null, agent, node, role, content, reasoning|null, tool_calls [{id, type,
  function {name, arguments (raw string)}}], tool_call_id|null, name|null, sampled, error|null,
  tokens|null {tokenizer, token_ids, mask, logprobs}
- call: message (id of the sampled message), agent, node, scope, index, request_sha256, model,
  served_model, sampling, finish_reason, usage {prompt_tokens, completion_tokens, cached_tokens,
  reasoning_tokens, cost_usd|null}, latency_s, attempts, response (what a replay needs to answer again)
- call_failed: agent, node, scope, index, error, kind (infrastructure | credentials | overflow), attempts
- tool: message (id of the tool message), node, agent, name, arguments, ok, duration_s, tree_hash|null
- compaction: agent, node, kept, dropped     - nudge: agent, node, reason (what the role was told)
- node: id, parent|null, kind, agent|null, seed, depth      - fork: node, from
- evaluation: node, kind (visible | reproduction | regression | lint | coverage | hidden), tests {id:
  outcome}, f2p [passed, total]|null, p2p [passed, total]|null, before, after, wall_s, valid
- patch: id, node, text, sha256, normalised_hash, files, removed_by_hygiene
- node_finished: node, status (finished | limit | failed | infrastructure | duplicate), tips {agent: message},
  patch|null, tree_hash|null, reward|null {total, components, spec}, critic|null {mean, sd, k, rationale}
- duplicate: node, of                        - vote: patch, node          - decision: what, chosen, why
- budget: reserved, settled, spent           - audit: node, flags [..]
- selected: node|null, patch|null, confidence|null, reasons [..]
- outcome: exit_code, status, verified, tests {fixed, broken, still_failing, flaky}
- run_finished: totals
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...tools.errors import RecordError


class EventLog:
    """Single writer of one `events.jsonl`. Use `append`; `close` when done."""

    def __init__(self, path: Path) -> None:
        """Open for appending; an existing log is continued after its last whole line.
        Raises: RecordError when the file is damaged before its last line."""
        self.path = path
        self._seq = 0
        end = 0
        if path.exists():
            for event, end in _scan(path):
                self._seq = event["seq"] + 1
        self._file = path.open("ab")
        self._file.truncate(end)

    def append(self, type: str, /, **fields: Any) -> int:
        """Write one event and return its `seq`. On disk when this returns."""
        seq = self._seq
        event = {"seq": seq, "at": round(time.time(), 3), "type": type, **fields}
        self._file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._seq = seq + 1
        return seq

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole events of a log, in order. Raises: RecordError naming the line that is damaged."""
    for event, _ in _scan(path):
        yield event


def _scan(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{path}: line {number} is not JSON: {error}") from error
            end += len(line)
            yield event, end
