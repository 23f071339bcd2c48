"""Recipes without any training library: scripts that compile, flags that are refused."""

import ast

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.training.recipes.recipe import ACCELERATE, SOURCES, Recipe, accelerate_config
from swe_agent.tools.errors import UsageError

CASES = [(method, source) for method, sources in SOURCES.items() for source in sources]


@pytest.mark.parametrize(("method", "source"), CASES)
@pytest.mark.parametrize("lora", [False, True])
def test_every_recipe_is_a_python_script(data, tmp_path, method, source, lora):
    recipe = Recipe(method, data, "org/model", tmp_path / "out", source=source, lora=lora)
    tree = ast.parse(recipe.script())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert ("LoraConfig" in names) == lora
    assert "{%" not in recipe.script().replace("{% generation %}", "")
    assert recipe.script() == recipe.script()


def test_lengths_are_not_cut_unless_asked_for(data, tmp_path):
    assert "max_length=None" in Recipe("sft", data, "m", tmp_path).script()
    assert "max_length=512" in Recipe("dpo", data, "m", tmp_path, max_length=512).script()
    assert "assistant_only_loss=True" in Recipe("sft", data, "m", tmp_path).script()


def test_names_cannot_break_out_of_the_script(data, tmp_path):
    evil = 'm"\nimport os\n\N{PILE OF POO}\\'
    tree = ast.parse(Recipe("sft", data, evil, tmp_path / "it's").script())
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
    }
    assert values["MODEL"] == evil
    assert values["OUTPUT"].endswith("it's")


def test_what_cannot_be_trained_is_refused(data, tmp_path, capsys):
    with pytest.raises(UsageError, match="no rows of sft"):
        Recipe("sft", tmp_path, "m", tmp_path).script()
    with pytest.raises(UsageError, match="dpo trains on dpo"):
        Recipe("dpo", data, "m", tmp_path, source="kto").script()
    with pytest.raises(UsageError, match="unknown method"):
        Recipe("ppo", data, "m", tmp_path).script()
    with pytest.raises(UsageError, match="add --lora"):
        Recipe("sft", data, "m", tmp_path, merge=True).script()
    with pytest.raises(UsageError, match="in full"):
        Recipe("sft", data, "m", tmp_path, qlora=True, merge=True).script()
    assert "load_in_4bit=True" in Recipe("dpo", data, "m", tmp_path, qlora=True).script()
    with pytest.raises(UsageError, match="batch-size 2 or more"):
        Recipe("kto", data, "m", tmp_path, batch_size=1).script()
    assert "per_device_train_batch_size=4" in Recipe("kto", data, "m", tmp_path).script()
    arguments = ["--data", str(data), "--base-model", "m", "--dry-run"]
    for wrong, word in ((["dpo", "--loss", "banana"], "banana"), (["kto", "--loss", "ipo"], "is for dpo")):
        assert main(["train", wrong[0], *arguments, *wrong[1:]]) == 2
        assert word in capsys.readouterr().err
    assert main(["train", "sft", *arguments]) == 0
    compile(capsys.readouterr().out, "train.py", "exec")
    assert main(["train", "sft", *arguments, "--accelerate", "nothing"]) == 2
    assert "deepspeed_zero2" in capsys.readouterr().err


def test_accelerate_configurations_are_shipped():
    for name in ACCELERATE:
        assert "distributed_type" in accelerate_config(name).read_text()
