"""A run and two batches whose every field is hostile: markup, scripts, endless words, escapes, lone surrogates."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.batch.job import JobOutcome
from swe_agent.orchestrator.batch.state import BatchState
from swe_agent.orchestrator.request import SolveRequest, SolveResult
from swe_agent.orchestrator.solving.issue import Issue

EVIL = (
    "</pre></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<svg onload=document.title='owned'>'\"><a href=\"javascript:document.title='owned'\">x</a>{{ 7*7 }}\x1b[2J\udce9"
)
LONG = "a_word_without_an_end" * 40
WORDS = EVIL + LONG
AT = 1_700_000_000.0


def write_run(path: Path, *, steps: int = 6, running: bool = False, words: str = WORDS) -> Path:
    """A run of `steps` model calls whose texts are all `words`."""
    path.mkdir(parents=True, exist_ok=True)
    issue = Issue("i", words, words, url=words, repository=words, labels=(words,))
    request = SolveRequest(issue=issue, repository=Path("r"), model=f"openai/{words}")
    patch = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{words}\n+{words}\n"
    result = SolveResult(
        "verified", words, patch, verified=True, fixed=(words,), broken=(words,), leaks=(words,),
        confidence=0.5, reasons=(words,), totals={"wall_s": 12.5, "cost_usd": 0.25},
    )  # fmt: skip
    summary = {
        "run": path.name, "status": "running" if running else words, "finished": not running,
        "request": request.to_json(), "result": None if running else result.to_json(),
    }  # fmt: skip
    (path / "run.json").write_bytes(json.dumps(summary).encode())
    (path / "events.jsonl").write_bytes(b"".join(_lines(steps, asdict(issue), words, patch, running)))
    return path


def _lines(steps: int, issue: dict[str, Any], words: str, patch: str, running: bool) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "run_started", "schema": words, "run_id": words, "issue": issue, "repository": words,
         "base_commit": words, "config": {words: words}, "versions": {}, "seed": 0, "is_llm": True},
        {"type": "inference", "what": words, "value": words, "why": words, "flag": words},
        {"type": "baseline", "tests": {words: "failed"}, "flaky": [], "duration_s": 0.5, "runs": 1, "whole": True},
        {"type": "node", "id": words, "parent": None, "kind": "root", "agent": words, "seed": 0, "depth": 0},
        {"type": "node", "id": "loop", "parent": "loop", "kind": "root", "agent": words, "seed": 0, "depth": 0},
    ]  # fmt: skip
    call = {
        "function": {
            "name": words,
            "arguments": json.dumps({words: words, "edits": [{"oldText": words, "newText": words}]}),
        }
    }
    for number in range(steps):
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.01}
        events += [
            {"type": "call", "message": f"m{number}", "node": words, "agent": words, "tokens": None, "scope": words,
             "index": number, "request_sha256": "", "model": words, "served_model": words, "is_llm": True,
             "sampling": {}, "finish_reason": words, "usage": usage, "latency_s": 0.4, "attempts": 1, "response": {}},
            {"type": "message", "id": f"m{number}", "parent": None, "agent": words, "node": words, "role": "assistant",
             "content": words, "reasoning": words, "tool_calls": [call]},
            {"type": "message", "id": f"t{number}", "parent": None, "agent": words, "node": words, "role": "tool",
             "name": words, "error": words, "content": f'<data source="{LONG}">\n{words}\n</data>'},
            {"type": "tool", "message": f"t{number}", "node": words, "agent": words, "name": words, "arguments": {},
             "ok": False, "text": words, "duration_s": 0.3},
        ]  # fmt: skip
    for node in (words, "../../etc/passwd", *(f"n{number}" for number in range(12))):
        events.append({"type": "hygiene", "node": node, "patch": "", "removed": []})
    if not running:
        events += [
            {"type": "rollout", "node": words, "seed": 0, "result": {
                "patch": patch, "status": words,
                "evaluation": {"reproduction": {words: True}, "broken": [words], "outcomes": {words: "passed"}}}},
            {"type": "decision", "what": words, "chosen": [words], "why": words},
            {"type": "selected", "node": words, "patch": "p", "confidence": 0.5, "reasons": [words]},
        ]  # fmt: skip
    return [
        json.dumps({"seq": number, "at": AT + number / 2, **event}).encode() + b"\n"
        for number, event in enumerate(events)
    ]


def write_batch(path: Path, *, count: int = 40, better: bool = False, words: str = WORDS) -> Path:
    """A graded batch of `count` instances; the last is in work."""
    state = BatchState(path)
    names = [
        f"acme__{words[:20] if number == 3 else 'calc'}-{number}".replace("/", "_") for number in range(count)
    ]
    reasons = ("verified", "not_verified", "limit", words)
    for number, name in enumerate(names):
        state.started(name)
        if number < count - 1:
            state.ended(
                JobOutcome(name, "finished", reasons[number % 4], words, 0, "p", words, 0.01 * number, 10, 5, 12.0,
                        (words,) if number % 5 == 0 else ())
            )  # fmt: skip
    state.close()
    resolved = [name for number, name in enumerate(names[:-1]) if number % 4 == 0 or (better and number % 2)]
    rest = [name for name in names[:-1] if name not in resolved]
    evaluation = {"resolved_ids": resolved, "unresolved_ids": rest, "resolved_instances": len(resolved)}
    (path / "evaluation").mkdir()
    (path / "evaluation/m.b.json").write_text(json.dumps(evaluation))
    summary = {"finished": count - 1, "cost_usd": 7.0}
    rows = {name: {"repository": words if number == 3 else "acme/calc"} for number, name in enumerate(names)}
    results = {"instances": rows, "summary": summary, "evaluation": evaluation}
    (path / "results.json").write_text(json.dumps(results))
    batch = {"dataset": words, "settings": {"model": words, "name": None}, "instances": names}
    (path / "batch.json").write_text(json.dumps(batch))
    write_run(path / "instances" / names[0], steps=2, words=words)
    return path
