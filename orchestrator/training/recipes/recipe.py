"""Recipe: a training script for TRL, rendered from one template; what `--dry-run` prints is what runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ....tools.errors import UsageError
from ....tools.extras import install_command

SOURCES: dict[str, tuple[str, ...]] = {
    "sft": ("sft", "sft_pc", "sft_tokens", "orm"),
    "dpo": ("dpo",),
    "kto": ("kto",),
    "reward": ("reward",),
    "grpo": ("grpo", "rollouts"),
    "prm": ("prm",),
}
"""Method → the kinds of rows it can train on, the usual one first."""
LOSSES = ("sigmoid", "ipo", "hinge", "robust", "bco_pair", "apo_zero", "apo_down", "exo_pair", "nca_pair",
          "sppo_hard", "aot", "aot_unpaired", "discopop", "sigmoid_norm", "sft")  # fmt: skip
"""TRL's losses of DPO."""
_CLASSES = {
    "sft": ("SFTConfig", "SFTTrainer"),
    "dpo": ("DPOConfig", "DPOTrainer"),
    "kto": ("KTOConfig", "KTOTrainer"),
    "reward": ("RewardConfig", "RewardTrainer"),
    "grpo": ("GRPOConfig", "GRPOTrainer"),
    "prm": ("TrainingArguments", "Trainer"),
}
_RATES = {"sft": 2e-5, "dpo": 1e-6, "kto": 1e-6, "reward": 1e-5, "grpo": 1e-6, "prm": 1e-5}
_LORA_FACTOR = 10
"""LoRA learns best at about ten times the rate of full training (Schulman et al. 2025, "LoRA Without Regret")."""
CONFIGS = Path(__file__).parent
ACCELERATE = ("deepspeed_zero2", "deepspeed_zero3", "fsdp", "multi_gpu")
"""Names of the accelerate configurations beside this file."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained on what. `max_length` None cuts nothing: TRL's own default would silently cut the last
    turns of long conversations."""

    method: str
    data: Path
    model: str
    output: Path
    source: str | None = None
    lora: bool = False
    lora_rank: int = 16
    learning_rate: float | None = None
    epochs: float = 1.0
    max_steps: int = -1
    warmup_steps: int = 0
    batch_size: int | None = None
    """Per device; None: 4 for KTO, which compares the examples of a batch with one another, else 1."""
    accumulation: int = 8
    max_length: int | None = None
    beta: float = 0.1
    loss: str = "sigmoid"
    generations: int = 4
    max_completion_length: int = 4096
    max_tool_calls: int = 30
    vllm: bool = False
    repositories: Path | None = None
    """Folder of checkouts that the environment looks for a row's repository in."""
    gradient_checkpointing: bool = False
    qlora: bool = False
    """LoRA on weights in 4 bits (Dettmers et al. 2023); needs bitsandbytes and a CUDA GPU."""
    merge: bool = False
    """Write the base model with the adapters merged to `merged` below the output."""
    save_steps: int = 100
    """Optimizer steps between checkpoints (the newest two are kept) and between evaluations on test.jsonl."""
    resume: bool = False
    """Go on from the newest checkpoint; begin where there is none."""
    seed: int = 0

    def files(self) -> dict[str, str]:
        """Split → file, absolute. Raises: UsageError when the data has no such rows."""
        source = self._source()
        found: dict[str, str] = {}
        for split in ("train", "test"):
            path = (self.data / source / f"{split}.jsonl").resolve()
            if path.is_file() and path.stat().st_size:
                found[split] = str(path)
        if "train" not in found:
            if not self.data.is_dir():
                raise UsageError(f"--data {self.data}: no such folder; `swe-agent export` makes one")
            have = sorted(p.parent.name for p in self.data.glob("*/train.jsonl") if p.stat().st_size)
            raise UsageError(
                f"{self.data} has no rows of {source} (it has {', '.join(have) or 'none'}): "
                f"export them with --format {source}"
            )
        return found

    def script(self) -> str:
        """The script as text. Raises: UsageError."""
        from jinja2 import Environment, StrictUndefined

        if self.merge and not self.adapters:
            raise UsageError("--merge merges adapters: add --lora")
        if self.merge and self.qlora:
            raise UsageError("--merge needs weights in full: merge adapters of --lora, not of --qlora")
        source = self._source()
        config, trainer = _CLASSES[self.method]
        rate = self.learning_rate or _RATES[self.method] * (_LORA_FACTOR if self.adapters else 1)
        task_type = {"reward": "SEQ_CLS", "prm": "TOKEN_CLS"}.get(self.method, "CAUSAL_LM")
        values: dict[str, Any] = {
            **asdict(self),
            "lora": self.adapters,
            "batch_size": self._batch_size(),
            "source": source,
            "config": config,
            "trainer": trainer,
            "learning_rate": rate,
            "task_type": task_type,
            "files": self.files(),
            "model": self.model,
            "repositories": str(self.repositories.resolve()) if self.repositories else None,
            "output": str(self.output.resolve()),
        }
        environment = Environment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
        )
        environment.filters["literal"] = ascii
        return environment.from_string((CONFIGS / "train.py.jinja").read_text(encoding="utf-8")).render(
            values
        )

    @property
    def adapters(self) -> bool:
        return self.lora or self.qlora

    def _batch_size(self) -> int:
        if self.method != "kto":
            return self.batch_size or 1
        if self.batch_size == 1:
            raise UsageError("kto compares the examples of a batch with one another: --batch-size 2 or more")
        return self.batch_size or 4

    def _source(self) -> str:
        if self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}: use {', '.join(LOSSES)}")
        if self.loss != "sigmoid" and self.method != "dpo":
            raise UsageError(f"--loss is for dpo, not for {self.method}")
        if self.method not in SOURCES:
            raise UsageError(f"unknown method {self.method!r}: use {', '.join(SOURCES)}")
        source = self.source or SOURCES[self.method][0]
        if source not in SOURCES[self.method]:
            raise UsageError(f"{self.method} trains on {', '.join(SOURCES[self.method])}, not on {source}")
        return source


def run(recipe: Recipe, *, accelerate: str | None = None) -> int:
    """Write the script to the output directory and run it; returns its exit status.
    Raises: UsageError when the training packages are missing or the configuration is unknown."""
    script = recipe.script()
    missing = [
        name
        for name in ("torch", "trl", "datasets", *(["peft"] if recipe.adapters else []))
        if not find_spec(name)
    ]
    if missing:
        raise UsageError(
            f"training needs {', '.join(missing)}: {install_command('train')} (--dry-run does not)"
        )
    if recipe.qlora:
        _refuse_qlora()
    recipe.output.mkdir(parents=True, exist_ok=True)
    path = recipe.output / "train.py"
    path.write_text(script, encoding="utf-8")
    command = [sys.executable, str(path)]
    if accelerate is not None:
        config = accelerate_config(accelerate)
        command = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--config_file",
            str(config),
            str(path),
        ]
    return subprocess.run(command, check=False).returncode


def _refuse_qlora() -> None:
    """Raises: UsageError where 4-bit weights cannot be trained."""
    import torch

    if not torch.cuda.is_available():
        raise UsageError("--qlora trains 4-bit weights with bitsandbytes, which needs a CUDA GPU: use --lora")
    if not find_spec("bitsandbytes"):
        raise UsageError("--qlora needs bitsandbytes: pip install bitsandbytes, or use --lora")


def accelerate_config(name: str) -> Path:
    """A shipped configuration by name, or a file. Raises: UsageError."""
    path = CONFIGS / f"{name}.yaml" if name in ACCELERATE else Path(name)
    if not path.is_file():
        raise UsageError(f"no accelerate configuration {name!r}: use {', '.join(ACCELERATE)} or a file")
    return path
