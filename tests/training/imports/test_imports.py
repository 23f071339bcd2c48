"""Trajectories of other programs, by the fields that they document, become records that export as ours do."""

import json

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.trajectory_file import read_trajectories

ISSUE = "hours(60) is 2"
BASH = {"type": "function", "function": {"name": "bash", "description": "", "parameters": {"type": "object"}}}


def call(id, **arguments):
    return {"id": id, "type": "function", "function": {"name": "bash", "arguments": json.dumps(arguments)}}


def step(said, command):
    made = [call("c1", command=command)]
    return {"role": "assistant", "content": said, "tool_calls": made, "agent": "main"}


def traj(command):
    history = [
        {"role": "system", "content": "You fix issues.", "agent": "main", "message_type": "system_prompt"},
        {"role": "user", "content": "A demonstration", "is_demo": True, "agent": "main"},
        {"role": "assistant", "content": "shown", "is_demo": True, "agent": "main"},
        {"role": "user", "content": [{"type": "text", "text": ISSUE}], "agent": "main"},
        step("I look.", command),
        {"role": "tool", "content": "fees.py", "tool_call_ids": ["c1"], "agent": "main"},
        step("Done.", "submit"),
    ]
    info = {
        "exit_status": "submitted",
        "submission": f"diff --git a/{command} b/{command}\n",
        "model_stats": {},
    }
    return {"trajectory": [], "history": history, "info": info, "environment": "main", "replay_config": None}


def mini(command):
    extra = {"response": {"usage": {"prompt_tokens": 9, "completion_tokens": 3}}, "cost": 0.25}
    messages = [
        {"role": "system", "content": "You fix issues."},
        {"role": "user", "content": ISSUE},
        {"role": "assistant", "content": f"```mswea_bash_command\n{command}\n```", "extra": extra},
        {"role": "user", "content": "<output>fees.py</output>"},
        {"role": "assistant", "content": "```mswea_bash_command\nsubmit\n```", "extra": extra},
        {"role": "exit", "content": "", "extra": {"exit_status": "Submitted"}},
    ]
    config = {"model": {"model_name": "openai/m"}}
    info = {
        "exit_status": "Submitted",
        "submission": command,
        "model_stats": {"api_calls": 2},
        "config": config,
    }
    return {"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1.1"}


def openhands(command):
    def action(number, text, tool):
        answer = {"role": "assistant", "content": text, "tool_calls": [tool]}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        response = {"id": f"r{number}", "choices": [{"message": answer}], "usage": usage}
        meta = {"function_name": "bash", "tool_call_id": tool["id"], "model_response": response}
        return {"id": number, "source": "agent", "action": "run", "args": {}, "tool_call_metadata": meta}

    first = action(2, "I look.", call("c1", command=command))
    history = [
        {
            "id": 0,
            "source": "agent",
            "action": "system",
            "args": {"content": "You fix issues.", "tools": [BASH]},
        },
        {"id": 1, "source": "user", "action": "message", "args": {"content": ISSUE}},
        first,
        {
            "id": 3,
            "observation": "run",
            "content": "fees.py",
            "tool_call_metadata": first["tool_call_metadata"],
        },
        action(4, "Done.", call("c2", command="submit")),
    ]
    metadata = {"llm_config": {"model": "openai/m"}}
    return {
        "instance_id": "",
        "test_result": {"git_patch": command},
        "metadata": metadata,
        "history": history,
    }


def sdk(command):
    def acts(id, command):
        tool = {"id": id, "function": {"name": "bash", "arguments": json.dumps({"command": command})}}
        thought = [{"type": "text", "text": "I act."}]
        return {
            "kind": "ActionEvent",
            "thought": thought,
            "tool_name": "bash",
            "tool_call_id": id,
            "tool_call": tool,
        }

    seen = {"content": [{"type": "text", "text": "fees.py"}]}
    said = {"role": "user", "content": [{"type": "text", "text": ISSUE}]}
    history = [
        {
            "kind": "SystemPromptEvent",
            "system_prompt": {"type": "text", "text": "You fix issues."},
            "tools": [BASH],
        },
        {"kind": "MessageEvent", "source": "user", "llm_message": said},
        acts("c1", command),
        {"kind": "ObservationEvent", "tool_call_id": "c1", "observation": seen},
        acts("c2", "submit"),
    ]
    return {"instance_id": "", "test_result": {"git_patch": command}, "history": history}


def atif(command):
    def acts(number, id, command):
        tool = {"tool_call_id": id, "function_name": "bash", "arguments": {"command": command}}
        step = {"step_id": number, "source": "agent", "message": "I act.", "tool_calls": [tool]}
        return {**step, "metrics": {"prompt_tokens": 9, "completion_tokens": 3}}

    seen = {"observation": {"results": [{"source_call_id": "c1", "content": "fees.py"}]}}
    steps = [
        {"step_id": 1, "source": "system", "message": "You fix issues."},
        {"step_id": 2, "source": "user", "message": ISSUE},
        {**acts(3, "c1", command), **seen},
        acts(4, "c2", "submit"),
    ]
    agent = {"name": "a", "version": "1", "model_name": "m", "tool_definitions": [BASH]}
    return {"schema_version": "ATIF-v1.8", "agent": agent, "steps": steps}


def written(tmp_path, make, name, command):
    data = make(command)
    if "instance_id" in data:
        data["instance_id"] = "fees-1"
        file = tmp_path / f"{command}.jsonl"
    else:
        (tmp_path / command).mkdir()
        file = tmp_path / command / name
    file.write_text(json.dumps(data) + "\n")
    return str(file)


@pytest.mark.parametrize(
    ("make", "name", "tools"),
    [
        (traj, "fees-1.traj", True),
        (mini, "fees-1.traj.json", False),
        (openhands, "", True),
        (sdk, "", True),
        (atif, "fees-1.json", True),
    ],
)
def test_two_trajectories_of_an_instance_export_as_sft_dpo_and_kto(tmp_path, make, name, tools):
    files = [written(tmp_path, make, name, command) for command in ("ls", "cat")]
    out = tmp_path / "records.jsonl"
    assert main(["import", *files, "--out", str(out)]) == 0
    (record,) = read_trajectories(out)
    assert record.task.instance_id == "fees-1"
    assert record.task.problem_statement in (ISSUE, "A demonstration")
    assert [message.content for message in record.messages if message.sampled].count("shown") == 0
    assert sum(message.sampled for message in record.messages) == 4
    assert record.outcome.resolved is None
    assert all(node.reward is None for node in record.nodes), "nobody measured it"
    if tools:
        (answer,) = [m for m in record.messages if m.role == "tool" and m.node == "n0"]
        assert (answer.content, answer.name) == ("fees.py", "bash")
    record.evaluations.clear()
    verdict = {"n0": True, "n1": False}
    for node, good in verdict.items():
        record.evaluations.append(_judged(node, good))
    out.write_text(record.model_dump_json() + "\n")
    command = [
        "export",
        str(out),
        "--format",
        "sft,dpo,kto",
        "--only",
        "all",
        "--out",
        str(tmp_path / "data"),
    ]
    assert main(command) == 0
    rows = {
        kind: [json.loads(line) for line in (tmp_path / f"data/{kind}/train.jsonl").read_text().splitlines()]
        for kind in ("sft", "dpo", "kto")
    }
    demonstrated = make is traj  # a demonstration is an assistant message that nobody sampled
    assert len(rows["sft"]) == (0 if demonstrated else 2)
    assert len(rows["dpo"]) == 1
    assert "ls" in json.dumps(rows["dpo"][0]["chosen"])
    assert sorted(row["label"] for row in rows["kto"]) == [False, False, True, True]
    assert main(["export", "--verify", str(tmp_path / "data")]) == 0


def _judged(node, good):
    from swe_agent.orchestrator.record.schema import Evaluation

    return Evaluation(node=node, kind="hidden", f2p=(int(good), 1), valid=True)


def test_a_report_says_who_was_resolved(tmp_path):
    file = written(tmp_path, mini, "fees-1.traj.json", "ls")
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"resolved_ids": ["fees-1"], "unresolved_ids": []}))
    out = tmp_path / "records.jsonl"
    assert main(["import", file, "--report", str(report), "--out", str(out)]) == 0
    (record,) = read_trajectories(out)
    assert [found.f2p for found in record.evaluations] == [(1, 1)]
    assert record.totals.cost_usd == 0.5
    assert record.totals.prompt_tokens == 18


def test_a_report_speaks_for_the_run_that_it_is_about(tmp_path, capsys):
    files = []
    for run, command in (("a", "ls"), ("b", "cat")):
        (tmp_path / run).mkdir()
        files.append(written(tmp_path / run, mini, "fees-1.traj.json", command))
        logs = tmp_path / run / "logs/fees-1"
        logs.mkdir(parents=True)
        (logs / "report.json").write_text(json.dumps({"fees-1": {"resolved": run == "a"}}))
    out, data = tmp_path / "records.jsonl", tmp_path / "data"
    whole = str(tmp_path / "a/logs")
    assert main(["import", *files, "--report", whole, "--out", str(out)]) == 0
    assert "no verdict for 1 instances with several trajectories (fees-1...)" in capsys.readouterr().err
    (record,) = read_trajectories(out)
    assert not record.evaluations, "nobody says which of the two it is"
    reports = [f"{tmp_path / run}={tmp_path / run / 'logs'}" for run in "ab"]
    command = ["import", *files, "--report", reports[0], "--report", reports[1], "--out", str(out)]
    assert main(command) == 0
    (record,) = read_trajectories(out)
    assert {found.node: found.f2p for found in record.evaluations} == {"n0": (1, 1), "n1": (0, 1)}
    command = ["export", str(out), "-f", "dpo,kto", "--only", "all", "--out", str(data)]
    assert main(command) == 0
    (pair,) = [json.loads(line) for line in (data / "dpo/train.jsonl").read_text().splitlines()]
    assert "ls" in json.dumps(pair["chosen"])
    assert pair["margin"] == 1.0


def test_harbors_result_names_the_task_and_says_how_it_ended(tmp_path):
    files = []
    for number, (reward, command) in enumerate([(1.0, "ls"), (0.5, "cat"), (None, "pwd")]):
        trial = tmp_path / f"fees__{number}"
        (trial / "agent").mkdir(parents=True)
        data = atif(command)
        data.pop("extra", None)
        (trial / "agent/trajectory.json").write_text(json.dumps(data))
        verified = None if reward is None else {"rewards": {"reward": reward}}
        said = {"task_name": "acme/fees", "trial_name": trial.name, "verifier_result": verified}
        (trial / "result.json").write_text(json.dumps(said))
        files.append(str(trial / "agent/trajectory.json"))
    out, data = tmp_path / "records.jsonl", tmp_path / "data"
    assert main(["import", *files, "--out", str(out)]) == 0
    (record,) = read_trajectories(out)
    assert record.task.instance_id == "acme/fees"
    assert {found.node: found.f2p for found in record.evaluations} == {"n0": (1, 1), "n1": (0, 1)}
    assert main(["export", str(out), "-f", "dpo", "--only", "all", "--out", str(data)]) == 0
    rows = [json.loads(line) for line in (data / "dpo/train.jsonl").read_text().splitlines()]
    assert len(rows) == 1, "what no verifier judged is no worse than what failed"
    (tmp_path / "fees__0/result.json").unlink()
    assert main(["import", *files, "--out", str(out)]) == 0
    assert {record.task.instance_id for record in read_trajectories(out)} == {"acme/fees", "fees__0"}


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"resolved_ids": 3}', '{"a": {"resolved": 1}}'])
def test_what_is_no_report_is_one_line(tmp_path, text, capsys):
    file = written(tmp_path, mini, "fees-1.traj.json", "ls")
    (tmp_path / "report.json").write_text(text)
    out = tmp_path / "records.jsonl"
    assert main(["import", file, "--report", str(tmp_path / "report.json"), "--out", str(out)]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "report.json" in line
    assert not list(tmp_path.glob("records*"))


def test_our_own_atif_comes_back(tmp_path):
    pytest.importorskip("atif", reason="needs the package atif")
    from swe_agent.orchestrator.record.synthetic import synthetic_records
    from swe_agent.orchestrator.training.export.export import export
    from swe_agent.orchestrator.training.export.options import ExportOptions

    export(synthetic_records(1, steps=4), ["atif"], tmp_path / "out", ExportOptions(only="all"))
    out = tmp_path / "records.jsonl"
    assert main(["import", str(tmp_path / "out/atif/train.jsonl"), "--out", str(out)]) == 0
    (record,) = read_trajectories(out)
    assert len(record.nodes) == 2, "both paths of the tree, as one instance"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("{", "line 1 is not JSON"),
        ('{"a": 1}', "no trajectory of"),
        ("[1]", "no trajectory of"),
        ('{"messages": [], "info": {}}', "no message that a model sampled"),
        ('{"messages": [1], "info": {}}', "malformed"),
        ('{"history": [{"role": "assistant", "tool_calls": [1]}], "trajectory": []}', "malformed"),
        ('{"instance_id": "a", "history": [{"kind": "ActionEvent", "tool_call": 3}]}', "malformed"),
    ],
)
def test_what_is_no_trajectory_is_one_line(tmp_path, capsys, text, word):
    file = tmp_path / "x.traj"
    file.write_text(text)
    assert main(["import", str(file), "--out", str(tmp_path / "out.jsonl")]) != 0
    error = capsys.readouterr().err
    assert word in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_events_that_openhands_saved_are_one_trajectory(tmp_path):
    model = {
        "id": "r1",
        "choices": [{"message": {"content": "I look.", "tool_calls": [call("c1", command="ls")]}}],
    }
    meta = {"tool_call_id": "c1", "model_response": model}
    events = [
        {"id": 0, "source": "agent", "action": "system", "args": {"content": "You fix issues."}},
        {"id": 1, "source": "user", "action": "message", "args": {"content": ISSUE}},
        {"id": 2, "source": "agent", "action": "run", "args": {"command": "ls"}, "tool_call_metadata": meta},
        {"id": 3, "source": "agent", "observation": "run", "content": "fees.py", "tool_call_metadata": meta},
    ]
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(events))
    assert main(["import", str(path), "--out", str(tmp_path / "records.jsonl")]) == 0
    (record,) = read_trajectories(tmp_path / "records.jsonl")
    assert record.task.instance_id == "saved"
    assert [message.role for message in record.messages] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("shape", ["history", "list"])
def test_a_demonstration_and_a_bare_conversation_are_trajectories_too(tmp_path, shape):
    """SWE-agent's demonstrations hold a history alone, mini-swe-agent 1 wrote the list of messages."""
    messages = [message for message in traj("ls")["history"] if not message.get("is_demo")]
    path = tmp_path / f"{shape}.traj.json"
    path.write_text(json.dumps({"history": messages} if shape == "history" else messages))
    assert main(["import", str(path), "--out", str(tmp_path / "records.jsonl")]) == 0
    (record,) = read_trajectories(tmp_path / "records.jsonl")
    assert [message.content for message in record.messages if message.sampled] == ["I look.", "Done."]
