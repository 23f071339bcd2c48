"""The commands of docs/training.md and docs/training-data.md, word for word, on a tiny model.

A folder holds what the pages name: RUN (records), DIR and data (exports), M and ORG/MODEL (the model), and the files
that the pages show. `train` renders the script that it would start; here the script runs in this process, which saves
the start of an interpreter each time.
"""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.record.trajectory_file import write_trajectories

pytestmark = [pytest.mark.train, pytest.mark.slow]

DOCS = Path(__file__).resolve().parents[3] / "docs"
ELSEWHERE = {
    "--push": "tests/training/export/test_hub.py",
    "import": "tests/training/imports",
    "records.jsonl": "tests/training/imports/test_two_runs.py",
    "batch": "tests/training/export/test_end_to_end.py",
    "verifier": "tests/verifiers/test_trained.py",
    "--verifier": "tests/solve/test_verifier.py",
}
"""Word of a command → where its kind is run, with the server that it needs."""


def blocks(page):
    return re.findall(r"^```(\w*)\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)


def commands(page):
    """Every `swe-agent` command of a page: lines joined, comments off, each `[option a|b]` taken with its last choice
    but for --vllm, which needs a server."""
    found = []
    for language, text in blocks(page):
        for line in text.replace("\\\n", " ").splitlines() if not language else ():
            if line.startswith("swe-agent "):
                line = line.partition("  #")[0].replace(" [--vllm]", "").replace("RUN...", "RUN")
                line = re.sub(r"\[(--[\w-]+)(?: (?:[\w.-]+\|)*([\w.-]+))?\]", r"\1 \2", line)
                found.append(" ".join(line.split()))
    return found


PAGES = [(page, line) for page in ("training-data.md", "training.md") for line in commands(page)]
HERE = [(page, line) for page, line in PAGES if not ELSEWHERE.keys() & set(shlex.split(line))]


def test_the_pages_are_read():
    """A page that is worded anew does not empty the test below."""
    kinds = {line.split()[1] for _, line in PAGES}
    methods = {line.split()[2] for _, line in PAGES if line.split()[1] == "train"}
    assert kinds >= {"export", "reward", "train"}
    assert methods == {"sft", "dpo", "kto", "reward", "prm", "grpo", "verifier"}
    assert len(PAGES) - len(HERE) == len(ELSEWHERE) + 2, (
        "commands that are run elsewhere: two imports, two batches, and one of each other kind"
    )
    assert all((Path(__file__).resolve().parents[3] / path).exists() for path in ELSEWHERE.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model):
    """What the commands name, and nothing else."""
    folder = tmp_path_factory.mktemp("place")
    records = synthetic_records(4, steps=2, branches=4, observation_chars=40, vocabulary=300)
    write_trajectories(folder / "RUN", records)
    (folder / "ORG").mkdir()
    for name in ("M", "ORG/MODEL"):
        (folder / name).symlink_to(tiny_model)
    shown = blocks("training-data.md")
    (folder / "reward.toml").write_text(next(text for kind, text in shown if kind == "toml"))
    (folder / "my.py").write_text(
        next(text for kind, text in shown if kind == "python" and "def reward(" in text)
    )
    for name in ("DIR", "data"):
        assert main(["export", str(folder / "RUN"), "--format", "all", "--out", str(folder / name)]) == 0
    return folder


@pytest.mark.parametrize(("page", "line"), HERE)
def test_a_documented_command_works(page, line, place, tmp_path, monkeypatch, capsys):
    words = shlex.split(line)[1:]
    monkeypatch.chdir(place)
    if words[0] != "train":
        if "--out" in words:
            words[words.index("--out") + 1] = str(tmp_path / "out")
        assert main(words) == 0, capsys.readouterr().err
        return
    output = tmp_path / "trained"
    capsys.readouterr()
    assert main([*words, "--output", str(output), "--dry-run"]) == 0, capsys.readouterr().err
    script = tmp_path / "train.py"
    script.write_text(capsys.readouterr().out)
    trainer = runpy.run_path(str(script), run_name="__main__")["trainer"]
    assert trainer.state.global_step > 0
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses
    assert all(float(loss) == float(loss) for loss in losses), "a loss is not a number"
    assert any(output.glob("*.safetensors"))
    assert ("--merge" in words) == (output / "merged" / "model.safetensors").exists()
    if "--resume" in words:
        runpy.run_path(str(script), run_name="__main__")  # nothing is left to do, and nothing is refused
    assert json.loads((output / "tokenizer_config.json").read_text())
