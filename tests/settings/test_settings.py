"""Settings once: every source says the same of them, and `batch` refuses what `solve` refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.batch.settings import BatchSettings, InstanceSettings
from swe_agent.orchestrator.cli.app import WITH_SETTINGS, settings_of, variables
from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.request import SolveRequest
from swe_agent.orchestrator.settings import Settings, checked
from swe_agent.orchestrator.settings.flag import fields_of, flag_of, key_of
from swe_agent.orchestrator.solving.issue import Issue
from swe_agent.tools.errors import UsageError

WRONG = [
    ("temperature", "-1"), ("temperature", "inf"), ("temperature", "hot"), ("proposers", "foo"), ("proposers", "llm,llm"),
    ("request-timeout", "-5"), ("request-timeout", "soon"), ("retry-time", "0"), ("max-output-tokens", "0"),
    ("role-model", "coder"), ("role-model", "boss=m"), ("roles", "crowd"), ("search", "deep"), ("samples", "0"),
    ("samples", "4"), ("samples", "many"), ("width", "0"), ("width", "9"), ("seed", "x"), ("max-steps", "-3"),
    ("critic-samples", "0"), ("budget-usd", "nan"), ("budget-usd", "-1"), ("budget-tokens", "1.5"), ("budget-steps", "0"),
    ("budget-test-time", "1 day"), ("timeout", "inf"), ("sandbox", "cage"), ("network", "maybe"), ("model", "nosuch/model"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("SWE_AGENT_CACHE", raising=False)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    assert captured.out == ""
    return int(code), captured.err


@pytest.mark.parametrize(("flag", "value"), WRONG)
def test_batch_refuses_what_solve_refuses(
    flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    asked = f"--{flag}={value}"
    solve = said(capsys, "solve", "--text", "x", "--repo", str(tmp_path), "--dry-run", asked)
    batch = said(capsys, "batch", "--dataset", str(tmp_path / "rows.jsonl"), "--dry-run", asked)
    assert solve == batch
    assert solve[0] == (6 if flag == "model" else 2)
    assert solve[1].count("\n") == 1
    assert value.split("=")[0].split("/")[0].split(",")[0] in solve[1]
    assert not (tmp_path / "state").exists()


def test_every_shared_flag_is_an_option_of_both() -> None:
    for name in ("solve", "batch"):
        assert set(fields_of(Settings)) <= set(fields_of(settings_of(name)))


def test_no_variable_means_two_things() -> None:
    shared = {f"SWE_AGENT_{key_of(n, f).replace('-', '_').upper()}" for n, f in fields_of(Settings).items()}
    names = [name for name in variables() if name not in shared]
    assert len(names) == len(set(names))
    assert not any(name in shared for name in names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sampels = 3", ["config.toml: sampels", "did you mean samples?"]),
        ("samples = 'x'\nsearch = 'tree'", ["config.toml: samples must be a whole number, not 'x'"]),
        ("workers = 3", ["config.toml: workers belongs under [solve] or [batch] or [eval]"]),
        ("[slove]\nworkers = 3", ["[slove] is no command", "did you mean solve?"]),
        ("[batch]\nworker = 3", ["[batch] worker", "did you mean workers?"]),
        ("[export]\nspit = 0.1", ["[export] spit", "did you mean split?"]),
        ("temperature = ", ["cannot be read"]),
        ("[solve]\ntext = 'x'", ["[solve] text: no such key"]),
    ],
)
def test_mistakes_in_files_are_blamed_on_the_file(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config" / "swe-agent" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    code, line = said(capsys, "solve", "--text", "x", "--repo", str(tmp_path), "--dry-run")
    assert code == 2
    assert line.count("\n") == 1
    assert str(path) in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SWE_AGENT_SAMPELS", "3", "did you mean SWE_AGENT_SAMPLES?"),
        ("SWE_AGENT_SPLIT", "0.2", "did you mean SWE_AGENT_EXPORT_SPLIT?"),
        ("SWE_AGENT_FORCE", "1", "FORCE?"),
        ("SWE_AGENT_TEMPERATURE", "-1", "SWE_AGENT_TEMPERATURE must be 0 or more, not -1"),
        ("SWE_AGENT_EXPORT_SPLIT", "x", "SWE_AGENT_EXPORT_SPLIT"),
        ("SWE_AGENT_CONFIG", "gone.toml", "SWE_AGENT_CONFIG gone.toml: no such file"),
    ],
)
def test_mistakes_in_variables_are_blamed_on_the_variable(
    variable: str,
    value: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    command = ["export", "x"] if "EXPORT" in variable else ["solve", "--text", "x", "--repo", str(tmp_path)]
    code, line = said(capsys, *command)
    assert code == 2
    assert line.count("\n") == 1
    assert words in line


def test_every_layer_wins_over_the_one_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config" / "swe-agent" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("temperature = 0.1\nseed = 1\ntimeout = '30m'\n[batch]\nseed = 2\n")
    monkeypatch.setenv("SWE_AGENT_TEMPERATURE", "0.5")
    main(["config", "show", "batch", "--origin"])
    shown = capsys.readouterr().out
    assert 'temperature = "0.5"  # SWE_AGENT_TEMPERATURE' in shown
    assert f"seed = 2  # {path}" in shown
    assert f'timeout = "30m"  # {path}' in shown
    assert "workers = 1  # built in" in shown


def test_the_schema_and_the_template_name_every_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["config", "schema"])
    schema = json.loads(capsys.readouterr().out)
    for name, field in fields_of(Settings).items():
        assert key_of(name, field) in schema["properties"]
    assert set(WITH_SETTINGS) <= set(schema["properties"])
    main(["config", "init"])
    path = Path(capsys.readouterr().out.strip())
    uncommented = "\n".join(
        line.removeprefix("# ")
        for line in path.read_text().splitlines()
        if " = " in line and "..." not in line
    )
    path.write_text(uncommented)
    assert main(["config", "show"]) == 0  # what the template offers is what is taken


@settings(deadline=None)
@given(
    temperature=st.one_of(st.none(), st.floats(0, 5)),
    seed=st.integers(),
    timeout=st.one_of(st.none(), st.floats(0.1, 1e6)),
    proposers=st.permutations(["llm", "offline"]),
    test_cmd=st.one_of(st.none(), st.text(max_size=20)),
)
def test_a_request_and_a_job_come_back_from_json(**values: Any) -> None:
    request = SolveRequest(issue=Issue.from_text("x"), repository=Path("r"), **values)
    assert SolveRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    each = InstanceSettings(**values)
    assert InstanceSettings(**json.loads(each.model_dump_json())) == each


def test_a_request_of_another_version_is_one_line() -> None:
    data = SolveRequest(issue=Issue.from_text("x"), repository=Path("r")).to_json()
    with pytest.raises(UsageError, match="another version"):
        SolveRequest.from_json({**data, "colour": "blue"})


def test_a_request_of_an_earlier_version_is_read() -> None:
    now = SolveRequest(
        issue=Issue.from_text("x"), repository=Path("r"), temperature=0.5, budget_usd=2.0, timeout=60
    )
    apart = ("temperature", "max_output_tokens", "reasoning_effort", "api_base", "fallback_models", "text_mode",
             "request_timeout", "retry_time", "stream", "token_ids", "budget_usd", "budget_tokens", "budget_steps",
             "timeout", "budget_test_time")  # fmt: skip
    old = {name: value for name, value in now.to_json().items() if name not in apart} | {
        "samples": 1, "project": None, "proposers": ["llm"],
        "sampling": {"temperature": 0.5, "top_p": None, "max_output_tokens": None, "reasoning_effort": None},
        "options": {"api_base": None, "fallbacks": [], "text_mode": None, "timeout_s": 600.0, "max_retry_s": 300.0,
                    "inactivity_s": 120.0, "stream": False, "token_ids": None},
        "limits": {"usd": 2.0, "tokens": None, "steps": None, "wall_s": 60, "test_s": None},
    }  # fmt: skip
    assert SolveRequest.from_json(old).model_copy(update={"proposers": ()}) == now


def test_what_a_worker_gets_is_part_of_the_batch(tmp_path: Path) -> None:
    batch = checked(
        BatchSettings, {"dataset": "x", "model": "m", "repo_mirror": str(tmp_path), "workers": "4"}
    )
    each = batch.of_instance()
    assert (each.model, each.repo_mirror, each.model_name) == ("m", tmp_path, "m")
    assert not {name for name in type(each).model_fields if flag_of(BatchSettings.model_fields[name]) is None}
