"""Harbor trials: tasks with one feature each, by the oracle and by nobody; what is refused; results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.harbor_tasks import CHECK, IN_CONTAINERS, TASKS, write_all, write_task

from swe_agent.orchestrator.benchmarks.contract import difference
from swe_agent.orchestrator.benchmarks.dataset import load_benchmark
from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.registry import benchmark_named
from swe_agent.orchestrator.grading.grader import Grade, GraderOptions
from swe_agent.orchestrator.grading.harbor.grader import HarborGrader
from swe_agent.orchestrator.grading.predictions import Prediction, load_predictions
from swe_agent.tools.errors import UsageError


def _grade(
    tmp_path: Path, source: str, instances: list[Instance], sandbox: str = "namespace"
) -> dict[str, Grade]:
    options = GraderOptions(tmp_path / "mirrors", None, tmp_path / "scratch", sandbox)
    grader = HarborGrader(options, instances)
    answers = load_predictions(source, instances)
    return {
        item.id: grader(item, answers[item.id], tmp_path / "logs" / source / item.id) for item in instances
    }


def _read(tmp_path: Path) -> list[Instance]:
    return benchmark_named("harbor").instances(tmp_path / "tasks", tmp_path / "mirrors")


def test_the_oracle_gets_1_and_nobody_gets_0(tmp_path: Path) -> None:
    write_all(tmp_path / "tasks")
    instances = _read(tmp_path)
    assert len(instances) == len(TASKS) >= 10
    oracle, noop = _grade(tmp_path, "oracle", instances), _grade(tmp_path, "noop", instances)
    assert {name: grade.status for name, grade in oracle.items()} == dict.fromkeys(oracle, "resolved"), oracle
    assert {name: grade.status for name, grade in noop.items()} == dict.fromkeys(noop, "unresolved"), noop
    assert all("reward 0 " in grade.reason for grade in noop.values()), noop
    assert any("AgentTimeoutError" in note for note in oracle["harbor__timeouts"].notes)
    steps = json.loads((tmp_path / "logs/noop/harbor__steps/trial/result.json").read_text())["step_results"]
    assert [step["step_name"] for step in steps] == ["one"], "min_reward ends the trial"


def test_result_and_trajectory(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks/one", TASKS["separate"])
    _grade(tmp_path, "oracle", _read(tmp_path))
    trial = tmp_path / "logs/oracle/harbor__one/trial"
    result = json.loads((trial / "result.json").read_text())
    assert result["verifier_result"] == {"rewards": {"reward": 1.0}}
    assert (result["agent_info"]["name"], result["verifier_environment_mode"]) == ("oracle", "separate")
    assert result["agent_result"]["cost_usd"] is None
    assert result["exception_info"] is None
    assert result["agent_execution"]["finished_at"]
    assert (trial / "artifacts/app/hello.txt").read_text() == "hello\n"
    trajectory = json.loads((trial / "agent/trajectory.json").read_text())
    assert [step["source"] for step in trajectory["steps"]] == ["user", "agent"]


def test_a_prediction_is_put_in_place(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks/one", TASKS["reward-txt"])
    (instance,) = load_benchmark("harbor", str(tmp_path / "tasks"), tmp_path / "mirrors")
    repository = tmp_path / "mirrors" / instance.repo.replace("/", "+")
    grader = HarborGrader(GraderOptions(tmp_path / "mirrors", None, tmp_path / "s", "namespace"), [instance])
    for text, status in (("hello\n", "resolved"), ("no\n", "unresolved")):
        patch = difference(repository, {"hello.txt": text, "sub dir/it's.txt": "x"})
        assert grader(instance, Prediction(instance.id, patch, "m"), tmp_path / "l").status == status
    assert grader(instance, Prediction(instance.id, "no diff", "m"), tmp_path / "l").status == "patch_failed"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("exit 0", "RewardFileNotFoundError"),
        (": > /logs/verifier/reward.txt", "RewardFileEmptyError"),
        ("echo much > /logs/verifier/reward.txt", "VerifierOutputParseError"),
        ("echo nan > /logs/verifier/reward.txt", "VerifierOutputParseError"),
        ("ln -s /etc/hostname /logs/verifier/reward.txt", "RewardFileNotFoundError"),
    ],
)
def test_no_reward_is_no_zero(tmp_path: Path, script: str, kind: str) -> None:
    write_task(tmp_path / "tasks/one", {**TASKS["reward-txt"], "tests/test.sh": f"#!/bin/bash\n{script}\n"})
    (grade,) = _grade(tmp_path, "noop", _read(tmp_path)).values()
    assert grade.status == "infrastructure", grade
    assert kind in grade.reason


def test_what_an_agent_leaves_does_not_reach_the_host_or_the_reward(tmp_path: Path) -> None:
    """Links where tests and rewards go, a reward of its own, an artifact that is a link out."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    victim.chmod(0o666)
    files = {
        **TASKS["reward-txt"],
        "task.toml": 'artifacts = ["/app/link"]\n',
        "tests/test.sh": CHECK.format(test="false"),
        "solution/solve.sh": f"#!/bin/bash\nln -s {victim} /tests/test.sh; ln -s /etc/passwd /app/link\n"
        "echo 1 > /logs/verifier/reward.txt; echo '{\"reward\": 1}' > /logs/verifier/reward.json\n",
    }
    write_task(tmp_path / "tasks/one", files)
    (grade,) = _grade(tmp_path, "oracle", _read(tmp_path)).values()
    assert grade.status == "unresolved", grade
    assert victim.read_text() == "kept"
    assert not (tmp_path / "logs/oracle/harbor__one/trial/artifacts/app/link").exists()


@pytest.mark.parametrize(
    ("toml", "name"),
    [
        ("[environment]\ngpus = 1\n", "environment.gpus"),
        ('[environment]\nos = "windows"\n', "environment.os"),
        ('[environment]\nnetwork_mode = "allowlist"\nallowed_hosts = ["x.org"]\n', "allowlist"),
        ('[verifier]\nnetwork_mode = "allowlist"\n', "verifier.network_mode"),
        ('[[verifier.collect]]\ncommand = "x"\nservice = "db"\n', "verifier.collect.service"),
        ('artifacts = [{source = "/x", service = "db"}]\n', "artifacts.service"),
        ("[environment]\nsomething_new = 1\n", "environment.something_new"),
        ('[verifier]\nenvironment_mode = "shared"\n[verifier.environment]\n', "contradicts"),
        ('schema_version = "2.0"\n', "schema_version"),
        ("[agent]\ntimeout_sec = 'soon'\n", "agent.timeout_sec"),
    ],
)
def test_what_is_not_done_is_refused_by_name(tmp_path: Path, toml: str, name: str) -> None:
    write_task(tmp_path / "tasks/one", {**TASKS["reward-txt"], "task.toml": toml})
    with pytest.raises(UsageError, match=name):
        _read(tmp_path)


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("environment/docker-compose.yaml", "services: {}\n", "docker-compose.yaml"),
        ("environment/Dockerfile", "FROM node:20\nWORKDIR /app\n", "FROM node:20"),
        ("environment/Dockerfile", "FROM debian\nWORKDIR /app\nRUN apt-get install -y jq\n", "apt-get"),
        ("environment/Dockerfile", "FROM debian\nWORKDIR /usr/src/app\n", "usr/src"),
        ("environment/Dockerfile", "FROM debian AS a\nFROM debian\nWORKDIR /app\n", "several stages"),
        ("environment/Dockerfile", "FROM debian\nWORKDIR /app\nUSER app\n", "USER app"),
        ("tests/test.sh", "#!/bin/bash\nuvx pytest\n", "uvx"),
    ],
)
def test_what_a_namespace_cannot_do_is_refused_by_name(
    tmp_path: Path, path: str, text: str, name: str
) -> None:
    write_task(tmp_path / "tasks/one", {**TASKS["reward-txt"], path: text})
    with pytest.raises(UsageError, match=name):
        HarborGrader(GraderOptions(tmp_path / "m", None, tmp_path / "s", "namespace"), _read(tmp_path))


def test_our_agents_are_not_given_what_they_cannot_do(tmp_path: Path) -> None:
    write_all(tmp_path / "tasks")
    with pytest.raises(UsageError, match="several steps"):
        load_benchmark("harbor", str(tmp_path / "tasks"), tmp_path / "m")


def test_in_containers(tmp_path: Path, docker_image: str) -> None:
    """The same tasks where an engine builds the image; the network is switched between phases."""
    tasks = {
        name: dict(TASKS[name])
        for name in ("reward-json", "steps", "separate-image", "variables", "timeouts")
    }
    tasks |= {name: dict(files) for name, files in IN_CONTAINERS.items()}
    switched = CHECK.format(test="grep -qx hello /app/hello.txt && [ $(ls /sys/class/net | wc -l) = 1 ]")
    tasks["switch"] = {
        **TASKS["reward-txt"],
        "task.toml": '[agent]\nuser = "root"\n[verifier]\nnetwork_mode = "no-network"\n',
        "tests/test.sh": switched,
        "solution/solve.sh": "#!/bin/bash\n[ $(ls /sys/class/net | wc -l) = 2 ] && echo hello > /app/hello.txt\n",
    }
    for name, files in tasks.items():
        if name == "image":
            del files["environment/Dockerfile"]
        for path in ("environment/Dockerfile", "tests/Dockerfile", "task.toml"):
            if path in files:
                files[path] = files[path].replace("debian:12", docker_image)
        write_task(tmp_path / "tasks" / name, files)
    instances = _read(tmp_path)
    for source, status in (("oracle", "resolved"), ("noop", "unresolved")):
        grades = _grade(tmp_path, source, instances, "docker")
        assert {name: grade.status for name, grade in grades.items()} == dict.fromkeys(grades, status), grades
