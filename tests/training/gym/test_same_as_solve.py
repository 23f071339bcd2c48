"""The environment is what `solve` serves: the same tools, prompt and answers, so that training data fits it."""

import inspect
import json
import multiprocessing
import pickle
import subprocess

import gymnasium
import pytest
from training.checkout import committed

from swe_agent.orchestrator.training.gym import ENVIRONMENT_ID
from swe_agent.orchestrator.training.gym.session import (
    ACTIONS,
    SKIPPED,
    IssueSession,
    session_factory,
    tool_schemas,
)
from swe_agent.orchestrator.training.gym.task import IssueTask

from .test_issue_env import FIX, ISSUE, SOURCE, TESTS


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return committed(tmp_path_factory.mktemp("same") / "fees", {"fees.py": SOURCE, "test_fees.py": TESTS})


def test_methods_take_what_the_schemas_of_solve_say():
    assert [schema["function"]["name"] for schema in tool_schemas()] == list(ACTIONS)
    for schema in tool_schemas():
        function = schema["function"]
        parameters = dict(inspect.signature(getattr(IssueSession, function["name"])).parameters)
        del parameters["self"]
        assert list(parameters) == list(function["parameters"]["properties"])
        needed = [name for name, one in parameters.items() if one.default is inspect.Parameter.empty]
        assert needed == function["parameters"]["required"]


def test_what_trl_derives_from_the_methods_agrees_with_the_schemas():
    utils = pytest.importorskip("transformers.utils", reason="needs the extra train")
    session = IssueSession()
    for schema in tool_schemas():
        wanted = schema["function"]["parameters"]
        derived = utils.get_json_schema(getattr(session, schema["function"]["name"]))["function"][
            "parameters"
        ]
        assert derived.get("required", []) == wanted["required"]
        assert {name: one["type"] for name, one in derived["properties"].items()} == {
            name: one["type"] for name, one in wanted["properties"].items()
        }


def test_prompt_and_schemas_are_those_that_solve_sends(repository, tmp_path):
    """A real `solve` with a scripted model; what it was sent is what the environment shows."""
    script = tmp_path / "script.json"
    moves = (("editFile", FIX), ("finish", {"summary": "done"}))
    turns = [{"tool_calls": [{"name": name, "arguments": arguments}]} for name, arguments in moves]
    script.write_text(json.dumps({"turns": {}, "default": turns}))
    from swe_agent.orchestrator.cli.main import main

    command = [
        "solve",
        "--text",
        ISSUE,
        "--repo",
        str(repository),
        "--model",
        f"scripted/{script}",
        "--quiet",
    ]
    main([*command, "--roles", "single", "--search", "linear", "--output", str(tmp_path / "run")])
    record = json.loads((tmp_path / "run/trajectory.jsonl").read_text())
    (agent,) = [agent for agent in record["agents"] if agent["role"] == "single"]
    offered = next(kit["tools"] for kit in record["toolsets"] if kit["name"] == agent["toolset"])
    assert offered == tool_schemas()
    env = gymnasium.make(ENVIRONMENT_ID, repository=str(repository), issue=ISSUE, max_steps=9).unwrapped
    try:
        env.reset()
        main(
            [
                "export",
                str(tmp_path / "run"),
                "-f",
                "grpo",
                "--include-offline",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        (row,) = map(json.loads, (tmp_path / "out/grpo/train.jsonl").read_text().splitlines())
        assert row["prompt"] == env.messages, "the row asks what solve asked"
        said = [
            m for m in record["messages"] if m["agent"] == agent["name"] and m["role"] in ("system", "user")
        ]
        assert [m["content"] for m in said[:2]] == [m["content"] for m in env.messages]
        answers = {m["name"]: m["content"] for m in record["messages"] if m["role"] == "tool"}
        calls = [call for m in record["messages"] for call in m["tool_calls"]]
        assert [call["function"]["name"] for call in calls] == ["editFile", "finish"]
        for call in calls:  # a call of our rows acts here, and is answered alike
            arguments = call["arguments_parsed"]
            assert (
                getattr(env.session, call["function"]["name"])(**arguments)
                == answers[call["function"]["name"]]
            )
        assert env.session.get_reward() == 1.0
    finally:
        env.close()


def test_a_task_that_nothing_decides_is_skipped_and_counted(repository, tmp_path):
    subprocess.run(["git", "clone", "-q", str(repository), str(tmp_path / "fine")], check=True)
    git = ["git", "-C", str(tmp_path / "fine"), "-c", "user.name=t", "-c", "user.email=t@t"]
    (tmp_path / "fine/fees.py").write_text(SOURCE.replace("minutes // 60 + 1", "-(-minutes // 60)"))
    subprocess.run([*git, "commit", "-qam", "fixed"], check=True)
    session, before = IssueSession(), SKIPPED.total()
    for place in (tmp_path / "fine", tmp_path / "absent"):
        assert session.reset(prompt=[], repository=str(place), problem_statement=ISSUE) is None
        assert "skipped" in session.readFile("fees.py")
        assert session.get_reward() is None, "nothing was measured; that is not 0"
    assert SKIPPED.total() == before + 2
    session.reset(prompt=[], repository=str(repository), problem_statement=ISSUE)
    assert "hours" in session.readFile("fees.py"), "the next row is worked on as ever"


def test_shown_tests_are_in_place_and_cannot_be_bent(repository):
    text = "from fees import hours\n\n\ndef test_zero():\n    assert hours(0) == 0\n"
    row = {
        "prompt": [],
        "repository": str(repository),
        "problem_statement": ISSUE,
        "fail_to_pass": ["test_zero.py::test_zero"],
        "test_files": json.dumps({"test_zero.py": text}),
    }
    session = IssueSession()
    session.reset(**row)
    assert "hours(0)" in session.readFile("test_zero.py")
    assert "no change" in session.finish("done")
    assert "test_zero.py" in session.writeFile("test_zero.py", "def test_zero():\n    pass\n")
    session.shell("printf 'def test_zero(): pass\\n' > test_zero.py")
    assert session.get_reward() <= 0.0
    session.reset(**row)
    session.editFile(**FIX)
    session.finish("done")
    assert session.get_reward() == 1.0


def _episode(factory, answers):
    session = factory()
    session.reset()
    session.editFile(**FIX)
    answers.put(session.get_reward())
    session._close()


def test_a_forked_child_works_after_its_parent_did(repository):
    factory = pickle.loads(pickle.dumps(session_factory(IssueTask(str(repository), ISSUE))))
    mine = factory()
    mine.reset()
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_episode, args=(factory, answers))
    child.start()
    assert answers.get(timeout=60) == 1.0
    child.join(30)
    assert child.exitcode == 0
    assert "hours" in mine.readFile("fees.py"), "the parent's workspace still stands"
    mine._close()
