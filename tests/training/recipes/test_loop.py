"""The parts of the closed loop's bench: tasks that are what they say, calls that are read, and a server of which each
answer is what the model alone would have said."""

# pyright: reportMissingImports=false
# ruff: noqa: E402

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

BENCH = str(Path(__file__).parents[3] / "bench")
sys.path.append(BENCH)

from loop_model import TEMPLATE
from loop_policy import Asked, LanguageModel, Teacher, read_calls
from loop_score import solves
from loop_server import Server
from loop_tasks import tasks, write

sys.path.remove(BENCH)  # `batch` is a module there, and a folder of tests here

TOOL = {"type": "function", "function": {"name": "readFile", "parameters": {"properties": {"path": {}}}}}


def outcome(program, scope):
    try:
        exec(program, scope)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("seed", [0, 7])
def test_the_bug_fails_the_shown_test_and_the_hidden_inputs_and_the_right_line_passes_both(seed):
    for task in tasks(60, seed, "test"):
        for line, right in ((task.wrong, False), (task.right, True)):
            source = task.files[task.path]
            assert source.count(task.wrong) == 1
            scope: dict[str, object] = {}
            exec(source.replace(task.wrong, line), scope)
            shown = task.files[f"test_{task.path}"].splitlines()[-1].strip()
            hidden = "\n".join(task.hidden.splitlines()[1:])
            assert outcome(shown, scope) is right, (task.id, line)
            assert outcome(hidden, scope) is right, (task.id, line)


def test_folds_share_no_pair_of_module_and_function_and_are_the_same_each_time():
    train, test = tasks(300, 3, "train"), tasks(300, 3, "test")
    assert not {task.hidden.splitlines()[0] for task in train} & {
        task.hidden.splitlines()[0] for task in test
    }
    assert train == tasks(300, 3, "train")


def test_a_patch_is_judged_by_the_hidden_inputs(tmp_path):
    (task,) = tasks(1, 0, "test")
    write([task], tmp_path)
    checkout = tmp_path / "checkouts" / f"loop__{task.id}"
    file = checkout / task.path
    file.write_text(file.read_text().replace(task.wrong, task.right))
    patch = subprocess.run(["git", "diff"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert solves(task, patch, checkout)
    assert not solves(task, patch.replace(f"+    {task.right}", f"+    {task.wrong}  #"), checkout)
    assert not solves(task, "", checkout)
    assert not solves(task, "no patch", checkout)


def test_calls_are_read_and_what_cannot_be_read_is_text():
    good = 'Well.<tool_call>{"name": "readFile", "arguments": {"path": "a.py"}}</tool_call>'
    text, (call,) = read_calls(good)
    assert (text, call.name, json.loads(call.arguments)) == ("Well.", "readFile", {"path": "a.py"})
    for bad in ("no call", "<tool_call>{nonsense}</tool_call>", '<tool_call>{"arguments": {}}</tool_call>'):
        assert read_calls(bad) == (bad, [])


def test_the_server_answers_as_chat_completions_do():
    (task,) = tasks(1, 0, "train")
    with Server(Teacher([task]), "loop") as server:
        body = {"messages": [{"role": "user", "content": task.issue}]}
        request = urllib.request.Request(f"{server.url}/chat/completions", json.dumps(body).encode())
        with urllib.request.urlopen(request) as response:
            (choice,) = json.load(response)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"path": task.path}


@pytest.mark.train
def test_answers_of_a_batch_are_those_of_the_model_alone(tmp_path, tiny_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = TEMPLATE
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    served = LanguageModel(tmp_path / "model", wait_s=0.2)
    system = {"role": "system", "content": "Mend one bug in this repository, step by step."}
    asked = [
        Asked([system, {"role": "user", "content": f"{'word ' * length}{length}"}], [TOOL], 0.0, 12)
        for length in (1, 9, 3, 30)
    ]
    first = served.answer(asked[0])  # leaves its prompt as the prefix
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(served.answer, asked))
    served.close()
    assert answers[0].ids == first.ids
    for answer in answers:
        ids = torch.tensor([answer.prompt_ids])
        alone = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=len(answer.ids)
        )
        assert alone[0, ids.shape[1] :].tolist() == list(answer.ids)
        logits = model(torch.tensor([[*answer.prompt_ids, *answer.ids]])).logits[0]
        known = torch.log_softmax(logits[-len(answer.ids) - 1 : -1], -1)
        expected = known.gather(-1, torch.tensor(answer.ids)[:, None])[:, 0].tolist()
        assert answer.logprobs == pytest.approx(expected, abs=1e-3)
