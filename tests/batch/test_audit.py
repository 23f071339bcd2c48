"""The leak audit of a finished trajectory."""

from __future__ import annotations

from pathlib import Path

from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.record.log import EventLog, read_events
from swe_agent.orchestrator.record.recorder import Recorder
from swe_agent.orchestrator.solving.oversight import oversee, recorded_flags
from swe_agent.orchestrator.solving.run_directory import RunDirectory
from swe_agent.tools.project.names import package_names


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
    log(tmp_path / "events.jsonl", "git log --all", "git log --all", "pytest -q", "pip download flask")
    found = recorded_flags(RunDirectory(tmp_path), "flask")
    assert len(found) == 2
    assert found[0].startswith("history: ")
    assert found[1].startswith("package: ")


def test_ordinary_work_is_not(tmp_path: Path) -> None:
    log(tmp_path / "events.jsonl", "git diff", "git log -3", "grep -rn x .")
    assert recorded_flags(RunDirectory(tmp_path), "flask") == ()


def test_a_log_that_cannot_be_read_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("{broken}\n")
    assert recorded_flags(RunDirectory(tmp_path), "b")[0].startswith("not audited")


def test_a_package_is_known_by_what_it_is_imported_as(tmp_path: Path) -> None:
    """The record and the batch's report hold the same flags, although the repository has another name."""
    run = RunDirectory(tmp_path / "run")
    (run.repository / "sklearn").mkdir(parents=True)
    (run.repository / "tests").mkdir()
    for name in ("sklearn/__init__.py", "tests/__init__.py", "setup.py"):
        (run.repository / name).write_text("")
    (run.repository / "pyproject.toml").write_text('[project]\nname = "scikit-learn"\nversion = "1"\n')
    names = package_names(run.repository, "fork-of-it")
    assert names == ("fork-of-it", "scikit-learn", "sklearn")
    log(run.events, "pip download sklearn", "cat /opt/lib/site-packages/sklearn/svm.py", "pip install tests")
    before = recorded_flags(run, "fork-of-it")
    events = EventLog(run.events)
    flags = oversee(read_events(run.events), Recorder(events, Journal()), names)
    events.close()
    assert [flag.split(":")[0] for flag in flags] == ["package", "installed-copy"]
    assert before == flags == recorded_flags(run, "fork-of-it")
