"""The leak audit of a finished trajectory."""

from __future__ import annotations

from pathlib import Path

from swe_agent.orchestrator.batch.audit import audit_run
from swe_agent.orchestrator.record.log import EventLog


def log(path: Path, *commands: str) -> Path:
    events = EventLog(path)
    for number, command in enumerate(commands):
        events.append("tool", message=str(number), node="n0", agent="coder", name="shell", arguments={"command": command},
                      ok=True, duration_s=0.1, tree_hash=None)  # fmt: skip
    events.append("tool", message="w", node="n0", agent="coder", name="writeFile",
                  arguments={"path": "x.py", "content": "git log --all"}, ok=True, duration_s=0.1, tree_hash=None)  # fmt: skip
    events.close()
    return path


def test_what_looks_for_the_future_is_flagged_once(tmp_path: Path) -> None:
    events = log(tmp_path / "e.jsonl", "git log --all", "git log --all", "pytest -q", "pip download flask")
    found = audit_run(events, "pallets/flask")
    assert len(found) == 2
    assert found[0].startswith("history: ")
    assert found[1].startswith("package: ")


def test_ordinary_work_is_not(tmp_path: Path) -> None:
    assert (
        audit_run(log(tmp_path / "e.jsonl", "git diff", "git log -3", "grep -rn x ."), "pallets/flask") == ()
    )


def test_a_log_that_cannot_be_read_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("{broken}\n")
    assert audit_run(tmp_path / "e.jsonl", "a/b")[0].startswith("not audited")
