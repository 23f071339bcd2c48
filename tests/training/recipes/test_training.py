"""Real steps: each kind of export through the trainer that is named for it, on a tiny model on the CPU."""

import json
import os
import runpy
import subprocess
import sys

import pytest
from training.checkout import ONE, committed
from training.export.policy_server import PolicyServer

from swe_agent.orchestrator.training.recipes.recipe import ACCELERATE, SOURCES, Recipe, accelerate_config

pytestmark = [pytest.mark.train, pytest.mark.slow]


def train(tmp_path, data, model, method, source=None, **options):
    recipe = Recipe(
        method,
        data,
        str(model),
        tmp_path / "out",
        source=source,
        max_steps=(steps := options.pop("steps", 2)),
        batch_size=options.pop("batch_size", 2),
        accumulation=1,
        learning_rate=1e-2,
        **options,
    )
    script = tmp_path / "train.py"
    script.write_text(recipe.script())
    done = runpy.run_path(str(script), run_name="__main__")["trainer"]
    assert done.state.global_step == steps
    losses = [entry["loss"] for entry in done.state.log_history if "loss" in entry]
    assert losses
    assert all(loss == loss for loss in losses), "a loss is not a number"
    assert any((tmp_path / "out").glob("*.safetensors"))
    return done


def trained_text(trainer, row):
    """What enters the loss of one row, in runs of neighbouring tokens."""
    runs, previous = [], None
    for place, (token, label) in enumerate(zip(row["input_ids"], row["labels"], strict=True)):
        if label != -100:
            assert label == token
            if previous != place - 1:
                runs.append([])
            runs[-1].append(token)
            previous = place
    return [trainer.processing_class.decode(run) for run in runs]


def test_sft_trains_sampled_assistant_tokens_and_nothing_else(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "sft")
    rows = [json.loads(line) for line in (data / "sft/train.jsonl").read_text().splitlines()]
    for row, encoded in zip(rows, trainer.train_dataset, strict=True):
        said = [message for message in row["messages"] if message["role"] == "assistant"]
        texts = trained_text(trainer, encoded)
        assert len(texts) == len(said)
        for message, text in zip(said, texts, strict=True):
            (call,) = message["tool_calls"]
            assert message["content"] in text
            assert call["function"]["name"] in text
            assert (
                json.loads(text.split("<tool_call>")[1].split("</tool_call>")[0])["arguments"]
                == (call["function"]["arguments"])
            ), "arguments are an object, not a string in a string"
        everything = "".join(texts)
        for message in row["messages"]:
            if message["role"] != "assistant":
                assert message["content"] not in everything


def test_sft_pc_trains_completions_only(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "sft", "sft_pc")
    rows = [json.loads(line) for line in (data / "sft_pc/train.jsonl").read_text().splitlines()]
    for row, encoded in list(zip(rows, trainer.train_dataset, strict=True))[:12]:
        (text,) = trained_text(trainer, encoded)
        assert row["completion"][0]["content"] in text
        assert row["prompt"][-1]["content"] not in text


def test_sft_tokens_trains_the_ids_that_were_sampled(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "sft", "sft_tokens")
    rows = [json.loads(line) for line in (data / "sft_tokens/train.jsonl").read_text().splitlines()]
    for row, encoded in zip(rows, trainer.train_dataset, strict=True):
        assert encoded["input_ids"] == row["input_ids"]
        assert encoded["labels"] == row["labels"]


def test_orm_trains_the_verdict(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "sft", "orm", lora=True)
    texts = {
        trained_text(trainer, row)[0].replace("<think>", "").split("<|im_end|>")[0][-3:]
        for row in trainer.train_dataset
    }
    assert {text.strip() for text in texts} == {"YES", "NO"}


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge"])
def test_dpo(tmp_path, data, tiny_model, loss):
    train(tmp_path, data, tiny_model, "dpo", loss=loss)


def test_kto(tmp_path, data, tiny_model):
    train(tmp_path, data, tiny_model, "kto", batch_size=4)


def test_reward(tmp_path, data, tiny_model):
    train(tmp_path, data, tiny_model, "reward")


def test_prm_is_token_classification_of_step_ends(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "prm")
    rows = [json.loads(line) for line in (data / "prm/train.jsonl").read_text().splitlines()]
    for row, encoded in zip(rows, trainer.train_dataset, strict=True):
        assert [label for label in encoded["labels"] if label != -100] == [
            int(label) for label in row["labels"]
        ]


def test_grpo_replays_recorded_rollouts(tmp_path, data, tiny_model):
    trainer = train(tmp_path, data, tiny_model, "grpo", "rollouts", generations=3, batch_size=3)
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert all(0 < reward < 1 for reward in rewards), "the recorded rewards, one of three is 1"


def test_replay_trains_each_rollout_once_and_weighs_it_by_the_policy_that_sampled(tmp_path, tiny_model):
    """Two groups of three, of which one has a rollout too many; every logprob is far from the model's own."""
    folder = tmp_path / "data" / "rollouts"
    folder.mkdir(parents=True)
    lines = []
    for group, count in (("a", 3), ("b", 4)):
        for number in range(count):
            row = {
                "group_id": group,
                "prompt": [{"role": "user", "content": group}],
                "prompt_ids": [10, 11],
                "completion_ids": [20 + number, 21],
                "env_mask": [1, 1],
                "logprobs": [-0.01, -0.01],
                "reward": float(number == 0),
            }
            lines.append(json.dumps(row))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    recipe = Recipe(
        "grpo", tmp_path / "data", str(tiny_model), tmp_path / "out", source="rollouts", generations=3
    )
    script = tmp_path / "train.py"
    script.write_text(recipe.script())
    done = runpy.run_path(str(script), run_name="__main__")
    assert sum(done["turns"].values()) == 6, "each rollout of a whole group once; one is left over"
    logged = [entry for entry in done["trainer"].state.log_history if "clip_ratio/region_mean" in entry]
    assert any(entry["clip_ratio/low_mean"] > 0 for entry in logged), "the recorded policy is the reference"


@pytest.mark.timeout(900)
def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path, data, tiny_model):
    command = [sys.executable, "-m", "swe_agent", "train", "sft", "--data", str(data), "--lora", "--merge"]
    command += ["--base-model", str(tiny_model), "--output", str(tmp_path / "out"), "--save-steps", "1"]

    def run(*more):
        return subprocess.run(
            [*command, "--accumulation", "1", *more], capture_output=True, text=True, check=False
        )

    assert run("--max-steps", "1").returncode == 0
    again = run("--max-steps", "2")
    assert again.returncode != 0
    assert "--resume" in again.stderr
    done = run("--max-steps", "2", "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    state = json.loads((tmp_path / "out/checkpoint-2/trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == [1, 2]
    assert (tmp_path / "out/merged/model.safetensors").exists()


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("sft", "sft_tokens"),
        ("sft", "orm"),
        ("dpo", "dpo"),
        ("kto", "kto"),
        ("reward", "reward"),
        ("prm", "prm"),
    ],
)
def test_the_held_out_split_is_evaluated(tmp_path, tiny_model, method, source):
    from swe_agent.orchestrator.record.synthetic import synthetic_records
    from swe_agent.orchestrator.training.export.export import export
    from swe_agent.orchestrator.training.export.options import ExportOptions

    records = synthetic_records(8, steps=3, observation_chars=40, vocabulary=300)
    export(records, [source], tmp_path / "split", ExportOptions(split=0.4))
    trainer = train(tmp_path, tmp_path / "split", tiny_model, method, source, save_steps=1)
    at = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert at[:2] == [1, 2], "at each checkpoint"
    assert len(list((tmp_path / "out").glob("checkpoint-*"))) == 2
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["eval_loss"] > 0


@pytest.mark.parametrize("lora", [False, True])
def test_weights_are_trained_in_float32_and_merged_as_they_were_published(tmp_path, data, tiny_model, lora):
    """Most models are published in bfloat16, which swallows the updates of a usual learning rate."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    published = tmp_path / "published"
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(published)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(published)
    train(tmp_path, data, published, "sft", lora=lora, merge=lora)
    (file,) = (tmp_path / "out").glob("*.safetensors")
    assert {weight.dtype for weight in load_file(file).values()} == {torch.float32}
    if lora:
        merged = load_file(tmp_path / "out" / "merged" / "model.safetensors")
        assert {weight.dtype for weight in merged.values()} == {torch.bfloat16}


def test_qlora_is_refused_where_it_cannot_work(tmp_path, data, tiny_model, capsys):
    import torch

    from swe_agent.orchestrator.cli.main import main

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    command = ["train", "sft", "--data", str(data), "--base-model", str(tiny_model), "--qlora"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 2
    assert "--lora" in capsys.readouterr().err


def test_grpo_rolls_out_in_the_real_environment(tmp_path, tiny_model):
    repo = committed(tmp_path / "repo", ONE)
    row = {
        "prompt": [{"role": "user", "content": "one() is 2"}],
        "instance_id": "a",
        "repository": str(repo),
        "base_commit": "",
        "problem_statement": "one() is 2",
    }
    folder = tmp_path / "data" / "grpo"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(json.dumps(row) + "\n")
    trainer = train(
        tmp_path,
        tmp_path / "data",
        tiny_model,
        "grpo",
        generations=2,
        max_completion_length=24,
        max_tool_calls=2,
    )
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert rewards == [0.0, 0.0], "measured in the sandbox: nothing was fixed"


def test_accelerate_loads_every_shipped_configuration():
    pytest.importorskip("accelerate", reason="needs the extra train: accelerate is not installed")
    from accelerate.commands.config.config_args import load_config_from_file

    kinds = {
        name: str(load_config_from_file(str(accelerate_config(name))).distributed_type) for name in ACCELERATE
    }
    assert {kind.split(".")[-1] for kind in kinds.values()} == {"DEEPSPEED", "FSDP", "MULTI_GPU"}


@pytest.mark.parametrize(("method", "weights"), [("sft --lora", "adapter_model"), ("kto", "model")])
def test_the_documented_command_trains(tmp_path, data, tiny_model, method, weights):
    command = [
        sys.executable,
        "-m",
        "swe_agent",
        "train",
        *method.split(),
        "--data",
        str(data),
        "--base-model",
        str(tiny_model),
    ]
    done = subprocess.run(
        [*command, "--max-steps", "1", "--accumulation", "1", "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / f"out/{weights}.safetensors").exists()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A real best-of-n search over a real repository by a loopback language model, exported in all kinds."""

    from swe_agent.orchestrator.cli.main import main

    root = tmp_path_factory.mktemp("recorded")
    repo = root / "fees"
    repo.mkdir()
    (repo / "fees.py").write_text("def hours(minutes):\n    return minutes // 60 + 1\n")
    (repo / "test_fees.py").write_text(
        "from fees import hours\n\n\ndef test_whole():\n    assert hours(60) == 1\n"
    )
    git = ["git", "-C", str(repo), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
        subprocess.run([*git, *command], check=True)
    tries = ["minutes // 61 + 2", "minutes // 62 + 2", "-(-minutes // 60)", "(minutes + 59) // 60"]
    server = PolicyServer("fees.py", "minutes // 60 + 1", tries, ["test_fees.py::test_whole"])
    command = [
        sys.executable,
        "-m",
        "swe_agent",
        "solve",
        "--text",
        "hours(60) is 2",
        "--repo",
        str(repo),
        "--quiet",
    ]
    search = ["--search", "best-of-n", "--samples", "4", "--workers", "1", "--output", str(root / "run")]
    model = ["--model", "hosted_vllm/bytes", "--api-base", server.url]
    try:
        subprocess.run(
            [*command, *search, *model], check=True, env={**os.environ, "HOSTED_VLLM_API_KEY": "none"}
        )
    finally:
        server.close()
    out = root / "all"
    assert (
        main(["export", str(root / "run"), "--format", "all", "--max-tokens", "9000", "--out", str(out)]) == 0
    )
    return out


@pytest.mark.parametrize(
    ("method", "source"), [(method, source) for method, sources in SOURCES.items() for source in sources]
)
def test_a_recorded_search_trains_in_every_kind(tmp_path, recorded, tiny_model, method, source):
    options = {"batch_size": 2, "generations": 2} if method in ("kto", "grpo") else {"batch_size": 1}
    if source == "grpo":
        options |= {"max_completion_length": 16, "max_tool_calls": 1, "repositories": recorded.parent}
    train(tmp_path, recorded, tiny_model, method, source, steps=1, **options)
