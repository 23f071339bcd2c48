"""Recorded searches over a real repository, by a language model (a loopback endpoint with exact token ids) and
by the offline model, exported in all kinds."""

import json
import subprocess
import sys

import pytest
from training.checkout import committed
from training.export.policy_server import PolicyServer

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.build import build_run
from swe_agent.orchestrator.record.trajectory_file import read_trajectories
from swe_agent.orchestrator.training.export.options import KINDS

pytestmark = pytest.mark.slow


SOURCE = "def hours(minutes):\n    return minutes // 60 + 1\n"
TESTS = (
    "import pytest\nfrom fees import hours\n\n\n"
    "@pytest.mark.parametrize('minutes', [61, 62, 75])\ndef test_part(minutes):\n    assert hours(minutes) == 2\n\n\n"
    "def test_whole():\n    assert hours(60) == 1\n"
)


def solve(repo, out, *arguments):
    command = [sys.executable, "-m", "swe_agent", "solve", "--text", "hours(60) is 2, it should be 1"]
    done = subprocess.run(
        [
            *command,
            "--repo",
            str(repo),
            "--output",
            str(out),
            "--samples",
            "4",
            "--workers",
            "1",
            "--quiet",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**__import__("os").environ, "HOSTED_VLLM_API_KEY": "none"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    repo = committed(root / "fees", {"fees.py": SOURCE, "test_fees.py": TESTS})
    made = {}
    for search in ("tree", "best-of-n"):
        tries = ["minutes // 60", "minutes // 61 + 1 - 1", "-(-minutes // 60)", "(minutes + 59) // 60"]
        server = PolicyServer("fees.py", "minutes // 60 + 1", tries, ["test_fees.py::test_whole"])
        try:
            made[search] = solve(
                repo,
                root / search,
                "--search",
                search,
                "--model",
                "hosted_vllm/bytes",
                "--api-base",
                server.url,
            )
        finally:
            server.close()
    made["offline"] = solve(repo, root / "offline", "--search", "tree", "--model", "offline/repair")
    return made


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "all"
    names = [str(runs[name]) for name in ("tree", "best-of-n")]
    assert main(["export", *names, "--format", "all", "--only", "all", "--out", str(out)]) == 0
    assert main(["export", "--verify", str(out)]) == 0
    return out


def rows(folder, kind):
    return [json.loads(line) for line in (folder / kind / "train.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["tree", "best-of-n", "offline"])
def test_the_record_of_a_real_run_holds_every_invariant(runs, name):
    record = build_run(runs[name])
    assert len([node for node in record.nodes if node.terminal]) >= (1 if name == "offline" else 2)
    assert record.calls
    assert all(call.prompt_sha256 is not None for call in record.calls), (
        "every prompt is checked, none believed"
    )
    assert record.outcome.verified is True
    assert record.outcome.resolved is None, "nobody ran hidden tests"
    assert record.losses == []
    (stored,) = read_trajectories(runs[name] / "trajectory.jsonl")
    assert [message.id for message in stored.messages] == [message.id for message in record.messages]


def test_every_kind_has_rows(exported):
    counts = {kind: len(rows(exported, kind)) for kind in (*KINDS, "atif")}
    assert all(counts.values()), counts


def test_token_rows_spell_exactly_what_was_sampled(exported, runs):
    record = build_run(runs["tree"])
    said = {
        f"<assistant>{message.content}"
        for message in record.messages
        if message.sampled and message.tool_calls
    }
    spelled = set()
    for row in rows(exported, "sft_tokens"):
        text = bytes(label if label != -100 else 0 for label in row["labels"]).decode()
        for part in filter(None, text.split("\0")):
            assert part.startswith("<assistant>")
            assert part.endswith("</assistant>")
            spelled.update(piece.split("<call>")[0] for piece in part.split("</assistant>") if piece)
    assert said <= spelled
    for row in rows(exported, "rollouts"):
        trained = bytes(
            one for one, bit in zip(row["completion_ids"], row["env_mask"], strict=True) if bit
        ).decode()
        context = bytes(
            one for one, bit in zip(row["completion_ids"], row["env_mask"], strict=True) if not bit
        ).decode()
        assert "<assistant>" in trained
        assert "<assistant>" not in context
        assert row["logprobs"] is None, "the endpoint reported none"


def test_pairs_prefer_the_patch_that_passes(exported):
    for row in rows(exported, "dpo"):
        chosen, rejected = (
            row[name][0]["tool_calls"][0]["function"]["arguments"] for name in ("chosen", "rejected")
        )
        assert row["prompt"][0]["role"] == "system"
        assert rejected["edits"][0]["newText"] in ("minutes // 60", "minutes // 61 + 1 - 1"), rejected
        assert chosen != rejected


def test_atif_says_when(exported):
    for row in rows(exported, "atif"):
        times = [step["timestamp"] for step in row["steps"] if "Other roles" not in step["message"]]
        assert all(one.endswith("+00:00") for one in times)
        assert times == sorted(times)


def test_the_offline_model_is_left_out_unless_asked_for(runs, tmp_path):
    run = str(runs["offline"])
    assert main(["export", run, "--format", "sft,kto", "--out", str(tmp_path / "without")]) == 0
    assert rows(tmp_path / "without", "sft") == []
    assert main(["export", run, "--format", "all", "--include-offline", "--out", str(tmp_path / "with")]) == 0
    assert rows(tmp_path / "with", "sft")
    assert rows(tmp_path / "with", "kto")
    assert rows(tmp_path / "with", "sft_tokens") == [], "a program has no token ids"


def test_rewards_are_recomputed_from_the_record(runs, capsys):
    assert main(["reward", str(runs["tree"]), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    totals = [line["total"] for line in lines if line["total"] is not None]
    assert max(totals) > 0.9
    assert min(totals) <= 0.0, "a patch that breaks a test is capped at 0"
