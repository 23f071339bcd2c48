"""The training loop closed on two cores: a model of 135 million weights learns to mend one-line bugs as an agent.

    python bench/loop.py DIR [--train 48] [--test 24] [--samples 4] [--workers 6]

A teacher's runs are exported and trained on (LoRA); then the trained model's own rollouts that
pass their tests are (rejection sampling). Base and both results are measured by `swe-agent batch` on tasks that none was trained on. Every run goes
through the product, against a chat-completions server of this bench. Each stage leaves DIR/NAME.done, and the same
command goes on after the last one; the table is printed and kept in DIR/table.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from loop_language import LanguageModel
from loop_model import base_model
from loop_policy import Policy, Teacher
from loop_score import Score, score, table
from loop_server import Server
from loop_tasks import Task, tasks, write

ROLES = '[single]\nprompt = "single.md"\ntools = ["readFile", "editFile", "runTests"]\n'
PROMPT = 'Mend one bug: readFile, editFile, runTests, finish.\n{% include "rules" %}\n'


@dataclass(frozen=True, slots=True)
class Loop:
    folder: Path
    train: int
    test: int
    sampled: int
    samples: int
    workers: int
    epochs: float
    threads: int
    seed: int

    def stage(self, name: str, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The figures of a stage, which is worked on once."""
        marker = self.folder / f"{name}.done"
        if not marker.is_file():
            print(f"{name} ...", flush=True)
            begin = time.monotonic()
            found = work()
            found["minutes"] = round((time.monotonic() - begin) / 60, 1)
            marker.write_text(json.dumps(found) + "\n", encoding="utf-8")
        found = json.loads(marker.read_text(encoding="utf-8"))
        print(f"{name}: {found}", flush=True)
        return found

    def batch(self, name: str, policy: Callable[[], Policy], dataset: Path, *more: str) -> dict[str, float]:
        """Run all tasks of the dataset by the policy, into `folder/name`."""
        with Server(policy(), "loop") as server:
            self.command("batch", "--dataset", str(dataset), "--repo-mirror", str(dataset.parent / "checkouts"),
                         "--environment", "repository", "--model", "hosted_vllm/loop", "--api-base", server.url,
                         "--roles", "single", "--role-file", str(self.folder / "roles.toml"), "--max-steps", "8",
                         "--max-output-tokens", "120", "--workers", str(self.workers),
                         "--output", str(self.folder / name), "--quiet", *more)  # fmt: skip
        return {}

    def learn(self, name: str, runs: str, base: Path, epochs: float) -> dict[str, float]:
        """Export the runs that tests speak for and train adapters on the base model."""
        data, output = self.folder / f"{name}-data", self.folder / name
        self.command("export", str(self.folder / runs), "--format", "sft", "--only", "verified",
                     "--allow-benchmark", "--out", str(data))  # fmt: skip
        kept = data / "sft" / "train.jsonl"
        rows = len(kept.read_text(encoding="utf-8").splitlines()) if kept.is_file() else 0
        if not rows:
            raise SystemExit(f"no run of {runs} passes its tests: there is nothing to learn from")
        self.command("train", "sft", "--data", str(data), "--base-model", str(base), "--output", str(output),
                     "--lora", "--merge", "--resume", "--batch-size", "2", "--accumulation", "1",
                     "--learning-rate", "1e-3", "--epochs", str(epochs), "--save-steps", "20")  # fmt: skip
        return {"rows": rows}

    def command(self, *words: str) -> None:
        """Raises: SystemExit with the command's exit status."""
        environment = {**os.environ, "HOSTED_VLLM_API_KEY": "none", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(self.threads),
                       "XDG_STATE_HOME": str(self.folder / "state")}  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "swe_agent", *words], env=environment)
        if done.returncode:
            raise SystemExit(f"`swe-agent {words[0]}` ended with {done.returncode}; the same command goes on")

    def measured(self, name: str, model: Path, chosen: list[Task], dataset: Path) -> Score:
        """The model at temperature 0 on held-out tasks."""
        runs = f"test-{name}"
        self.stage(
            runs, lambda: self.batch(runs, lambda: LanguageModel(model), dataset, "--temperature", "0")
        )
        return score(self.folder / runs, chosen, dataset.parent / "checkouts")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--train", type=int, default=48, help="tasks that the teacher demonstrates")
    parser.add_argument("--test", type=int, default=24, help="held-out tasks")
    parser.add_argument("--sampled", type=int, default=6, help="further tasks that the trained model samples")
    parser.add_argument("--samples", type=int, default=4, help="rollouts of each of those")
    parser.add_argument("--workers", type=int, default=6, help="tasks at once")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of torch; fewer on a busy machine"
    )
    parser.add_argument("--seed", type=int, default=0)
    loop = Loop(**vars(parser.parse_args()))
    torch.set_num_threads(loop.threads)
    folder = loop.folder.resolve()
    loop = Loop(**{**asdict(loop), "folder": folder})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roles.toml").write_text(ROLES, encoding="utf-8")
    (folder / "single.md").write_text(PROMPT, encoding="utf-8")
    learned = tasks(loop.train + loop.sampled, loop.seed, "train")
    held_out = tasks(loop.test, loop.seed, "test")
    shown = write(learned[: loop.train], folder / "shown")
    sampled = write(learned[loop.train :], folder / "sampled")
    unseen = write(held_out, folder / "unseen")
    base = base_model(folder)
    rows = [("SmolLM2-135M-Instruct", loop.measured("base", base, held_out, unseen))]
    loop.stage("teacher", lambda: loop.batch("teacher", lambda: Teacher(learned), shown))
    loop.stage("sft", lambda: loop.learn("sft", "teacher", base, loop.epochs))
    first = folder / "sft" / "merged"
    rows.append(("after `train sft --lora`", loop.measured("sft", first, held_out, unseen)))
    loop.stage("rollouts", lambda: loop.batch("rollouts", lambda: LanguageModel(first), sampled, "--temperature", "0.8",
               "--search", "best-of-n", "--samples", str(loop.samples), "--same-prompt"))  # fmt: skip
    loop.stage("rejection", lambda: loop.learn("rejection", "rollouts", first, 1))
    second = folder / "rejection" / "merged"
    rows.append(("after rejection sampling", loop.measured("rejection", second, held_out, unseen)))
    text = table(rows)
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
