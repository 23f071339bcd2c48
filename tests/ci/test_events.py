"""What counts as being asked, and that no text of an event becomes more than text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ci.workflow import read_outputs
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.ci.actions import add_summary, annotate, set_outputs, without_commands
from swe_agent.orchestrator.ci.event import ForgeEvent, Ignored, Wanted, read_event
from swe_agent.orchestrator.report.patch_report import PatchReport, code

REPOSITORY = {"full_name": "octo/demo"}
INJECTIONS = [
    "$(touch /tmp/x)", "`touch /tmp/x`", "; rm -rf ~", "'; exit 1; '", '"; exit 1; "', "${{ secrets.TOKEN }}",
    "::set-output name=run::true", "::error file=a::b", "::add-mask::x", "::stop-commands::x", "##[error]x",
    "run=true\nwhy=", "a\nrun<<E\ntrue\nE", "\r\nrun=true", "%0Arun=true", "<script>alert(1)</script>",
    "@everyone #1 closes #2", "[x](javascript:alert(1))", "![x](http://127.0.0.1/x)", "--upload-pack=x",
    "../../etc/passwd", "\x1b]0;x\x07", "\u202e right to left", "{{ 7*7 }}", "</details>",
]  # fmt: skip


def issue(action: str, **more: Any) -> dict[str, Any]:
    base = {"number": 3, "state": "open", "body": "", "html_url": "u", **more.pop("issue", {})}
    return {"action": action, "repository": REPOSITORY, "sender": {"login": "me"}, "issue": base, **more}


def comment(body: str, **issue_fields: Any) -> dict[str, Any]:
    return issue("created", comment={"body": body, "user": {"login": "me"}}, issue=issue_fields)


@pytest.mark.parametrize(
    ("name", "payload", "kind"),
    [
        ("issues", issue("labeled", label={"name": "SWE-agent"}), "issue"),
        ("issues", issue("labeled", label={"name": "bug"}), None),
        ("issues", issue("labeled", label={"name": "swe-agent"}, issue={"state": "closed"}), None),
        ("issues", issue("assigned", assignee={"login": "me"}), None),
        ("issues", issue("opened", issue={"body": "hey @swe-agent, look"}), "issue"),
        ("issue_comment", comment("@swe-agent fix this"), "issue"),
        ("issue_comment", comment("> @swe-agent fix this"), None),
        ("issue_comment", comment("```\n@swe-agent\n```"), None),
        ("issue_comment", comment("mail me at x@swe-agent.org"), None),
        ("issue_comment", comment("@swe-agentic"), None),
        ("issue_comment", comment("@swe-agent also handle None", pull_request={"url": "u"}), "review"),
        ("workflow_dispatch", {"repository": REPOSITORY, "inputs": {"issue": "#12"}}, "issue"),
        ("workflow_dispatch", {"repository": REPOSITORY, "inputs": {"issue": "12; id"}}, None),
        ("push", {"repository": REPOSITORY}, None),
        ("issues", {}, None),
        ("issues", {"repository": [], "issue": 7, "action": {"a": 1}}, None),
    ],
)
def test_what_counts_as_being_asked(name: str, payload: dict[str, Any], kind: str | None) -> None:
    found = read_event(name, payload, Wanted())
    assert (found.kind if isinstance(found, ForgeEvent) else None) == kind


@pytest.mark.parametrize("fork", [True, False])
def test_a_failed_run_of_a_fork_is_not_worked_on(fork: bool) -> None:
    run = {"conclusion": "failure", "head_branch": "main", "head_sha": "a" * 40, "actor": {"login": "me"},
           "head_repository": {"full_name": "evil/demo" if fork else "octo/demo"}, "html_url": "u/1"}  # fmt: skip
    found = read_event(
        "workflow_run", {"action": "completed", "repository": REPOSITORY, "workflow_run": run}, Wanted()
    )
    assert isinstance(found, Ignored) is fork


@pytest.mark.parametrize("text", INJECTIONS)
def test_text_stays_text(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = tmp_path / "out"
    set_outputs(outputs, {"why": text, "last": "1"})
    read = read_outputs(outputs.read_bytes().decode())
    assert set(read) == {"why", "last"}
    annotate("notice", text, path=text, line=1)
    assert len(capsys.readouterr().out.splitlines()) == 1
    with without_commands(True):
        print(text)
    lines = capsys.readouterr().out.splitlines()
    mark = lines[0].removeprefix("::stop-commands::")
    assert len(mark) == 32
    assert lines[-1] == f"::{mark}::"
    markdown = PatchReport.of(
        {"status": text, "fixed": [text], "reasons": [text], "confidence": 0.5}
    ).markdown()
    assert not re.search(r"(?<!\\)<script", markdown.replace(code(text), ""))
    assert "@everyone" not in markdown.replace(code(text), "")
    add_summary(tmp_path / "summary", markdown)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(codec="utf-8"), max_size=60)
    )
)
def test_outputs_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, outputs: dict[str, str]
) -> None:
    file = tmp_path_factory.mktemp("out") / "out"
    set_outputs(file, outputs)
    assert read_outputs(file.read_bytes().decode()) == outputs
