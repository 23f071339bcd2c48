"""The environment over a real repository: Gymnasium's checker, vectors, and a bug solved through step."""

import json
import subprocess
import sys
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from training.checkout import committed

from swe_agent.orchestrator.training.gym import ENVIRONMENT_ID
from swe_agent.orchestrator.training.gym.gym_env import ACTIONS
from swe_agent.orchestrator.training.gym.session import IssueSession, session_factory
from swe_agent.orchestrator.training.gym.task import IssueTask
from swe_agent.tools.errors import UsageError

SOURCE = '''"""Fees."""


def hours(minutes):
    """Whole hours, rounded up."""
    return minutes // 60 + 1
'''
TESTS = """from fees import hours


def test_part():
    assert hours(61) == 2


def test_whole():
    assert hours(60) == 1
"""
ISSUE = "hours(60) is 2 — it should be 1"
FIX = {"path": "fees.py", "edits": [{"oldText": "minutes // 60 + 1", "newText": "-(-minutes // 60)"}]}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return committed(
        tmp_path_factory.mktemp("repository") / "fees", {"fees.py": SOURCE, "test_fees.py": TESTS}
    )


@pytest.fixture
def env(repository):
    made = gymnasium.make(ENVIRONMENT_ID, repository=str(repository), issue=ISSUE, max_steps=12)
    yield made
    made.close()


@pytest.mark.parametrize(
    "imports",
    ["import gymnasium, swe_agent", "import swe_agent.orchestrator.training.gym, gymnasium"],
)
def test_importing_the_package_registers_the_environment(imports):
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; print(gymnasium.spec('{ENVIRONMENT_ID}').entry_point)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("gym_env:IssueEnv")


def test_the_checker_has_nothing_to_say(env, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    loud = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert not [record for record in loud if "has no walls" not in record.getMessage()]


def test_a_scripted_agent_solves_a_real_bug_through_step(env):
    observation, info = env.reset(seed=1)
    assert observation["issue"] == ISSUE
    assert observation["pass_rate"] == [0.0]
    assert info["tools"].split(",") == list(ACTIONS)
    act = env.unwrapped.action
    total = 0.0
    for action in (act("search", query="hours"), act("readFile", path="fees.py"), act("editFile", **FIX)):
        observation, reward, terminated, truncated, info = env.step(action)
        assert info["ok"], observation["output"]
        assert (reward, terminated, truncated) == (0.0, False, False)
    observation, reward, *_ = env.step(act("runTests"))
    assert "fixed" in observation["output"]
    assert observation["pass_rate"] == [1.0]
    total += reward
    observation, reward, terminated, truncated, info = env.step(act("finish", summary="done"))
    total += reward
    assert (terminated, truncated, info["submitted"]) == (True, False, True)
    assert total == pytest.approx(1.0), "rewards sum to end minus start"
    assert observation["steps_left"] == [7]
    again, _ = env.reset(seed=1)
    assert again["pass_rate"] == [0.0], "the next episode starts from the base commit"
    assert "// 60 + 1" in env.step(act("readFile", path="fees.py"))[0]["output"]


def test_bad_arguments_are_observations_and_steps_run_out(env):
    env.reset()
    tool = ACTIONS.index("readFile")
    for arguments in (
        "{",
        "[1]",
        '"x"',
        "{}",
        '{"path": "../../etc/passwd"}',
        '{"path": 3}',
        "\x00",
        "[" * 5000,
    ):
        observation, reward, terminated, truncated, info = env.step({"tool": tool, "arguments": arguments})
        assert not info["ok"]
        assert observation["output"]
        assert reward == 0.0
        assert not terminated
        assert type(truncated) is bool
        assert "root:" not in observation["output"]
    for _ in range(4):
        observation, reward, terminated, truncated, info = env.step({"tool": tool, "arguments": "{"})
    assert (terminated, truncated) == (False, True)
    assert observation["steps_left"] == [0]


def test_a_broken_test_or_an_edited_test_earns_nothing(env):
    act = env.unwrapped.action
    env.reset()
    env.step(act("writeFile", path="fees.py", content="def hours(minutes):\n    return minutes // 60\n"))
    _, reward, *_ = env.step(act("runTests"))
    assert reward == 0.0, "one test is fixed, another broken"
    _, reward, terminated, *_ = env.step(act("finish", summary="done"))
    assert terminated
    assert reward <= 0.0
    env.reset()
    *_, info = env.step(act("writeFile", path="test_fees.py", content="def test_whole():\n    pass\n"))
    assert not info["ok"], "existing tests cannot be written"
    env.step(
        act("shell", command="printf 'def test_whole(): pass\\ndef test_part(): pass\\n' > test_fees.py")
    )
    _, reward, *_ = env.step(act("finish", summary="done"))
    assert reward <= 0.0, "an edited test caps the reward, however it was edited"


def test_equal_seeds_and_actions_give_equal_episodes(env):
    act = env.unwrapped.action
    runs = []
    for _ in range(2):
        env.reset(seed=5)
        seen = [
            env.step(act("runTests")),
            env.step(act("shell", command="ls")),
            env.step(act("editFile", **FIX)),
        ]
        runs.append(json.dumps([(o["output"], r, te, tr, i) for o, r, te, tr, i in seen]))
    assert runs[0] == runs[1]


def test_eight_environments_in_a_vector(repository):
    envs = gymnasium.make_vec(
        ENVIRONMENT_ID,
        num_envs=8,
        vectorization_mode="sync",
        repository=str(repository),
        issue=ISSUE,
        max_steps=12,
    )
    try:
        observation, _ = envs.reset(seed=3)
        assert observation["issue"] == (ISSUE,) * 8
        solved = {"tool": ACTIONS.index("editFile"), "arguments": json.dumps(FIX)}
        looked = {"tool": ACTIONS.index("readFile"), "arguments": '{"path": "fees.py"}'}

        def batch(chosen):
            return {
                "tool": [action["tool"] for action in chosen],
                "arguments": tuple(action["arguments"] for action in chosen),
            }

        envs.step(batch([solved if i % 2 else looked for i in range(8)]))
        submit = {"tool": ACTIONS.index("finish"), "arguments": '{"summary": "done", "gaveUp": true}'}
        _, rewards, terminated, truncated, _ = envs.step(batch([submit] * 8))
        assert list(rewards) == [0.0, 1.0] * 4
        assert all(terminated)
        assert not any(truncated)
    finally:
        envs.close()


def test_hidden_tests_decide_and_are_never_seen(repository):
    patch = (
        "diff --git a/test_hidden.py b/test_hidden.py\nnew file mode 100644\n--- /dev/null\n+++ b/test_hidden.py\n"
        "@@ -0,0 +1,5 @@\n+from fees import hours\n+\n+\n+def test_zero():\n+    assert hours(0) == 0\n"
    )
    task = IssueTask(str(repository), ISSUE, fail_to_pass=("test_hidden.py::test_zero",), test_patch=patch)
    session = IssueSession(task)
    task = session.reset()
    assert ISSUE in task
    assert "hidden" not in task
    assert "hidden" not in session.findFiles("*") + session.shell("ls -R .; git log --stat")
    assert session.get_reward() == 0.0
    session.editFile(**FIX)
    session.finish("done")
    assert session.get_reward() == 1.0
    assert "over" in session.shell("ls")


def test_the_session_is_what_trl_takes(repository):
    """Public functions of the class are the tools; each has what a schema is made from."""
    import inspect

    names = [
        name for name, _ in inspect.getmembers(IssueSession, inspect.isfunction) if not name.startswith("_")
    ]
    assert set(names) == {*ACTIONS, "reset", "get_reward"}
    for name in ACTIONS:
        signature = inspect.signature(getattr(IssueSession, name))
        document = inspect.getdoc(getattr(IssueSession, name))
        for parameter in list(signature.parameters)[1:]:
            assert f"{parameter}:" in document, (name, parameter)
    made = session_factory()()
    with pytest.raises(UsageError, match="no task"):
        made.reset(prompt=[])
    row = {
        "prompt": [],
        "repository": str(repository),
        "problem_statement": ISSUE,
        "base_commit": "",
        "margin": 1,
    }
    assert made.reset(**row) is None
    assert "hours" in made.readFile("fees.py")
    named = session_factory(repositories=repository.parent)()
    for name in (repository.name, f"owner/{repository.name}", f"https://host/owner/{repository.name}.git"):
        named.reset(**{**row, "repository": name})
        assert "hours" in named.readFile("fees.py")


def test_a_task_that_no_test_decides_is_refused(repository, tmp_path):
    subprocess.run(["git", "clone", "-q", str(repository), str(tmp_path / "fine")], check=True)
    git = ["git", "-C", str(tmp_path / "fine"), "-c", "user.name=t", "-c", "user.email=t@t"]
    (tmp_path / "fine/fees.py").write_text(SOURCE.replace("minutes // 60 + 1", "-(-minutes // 60)"))
    subprocess.run([*git, "commit", "-qam", "fixed"], check=True)
    with pytest.raises(UsageError, match="no test decides"):
        IssueSession(IssueTask(str(tmp_path / "fine"), ISSUE)).reset()
