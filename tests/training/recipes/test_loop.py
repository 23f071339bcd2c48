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
from loop_policy import Asked, Teacher, read_calls
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


@pytest.fixture
def served(tmp_path, tiny_model, monkeypatch):
    """The tiny model behind the loop's template, alone and as the loop's server has it."""
    monkeypatch.syspath_prepend(BENCH)
    from loop_language import LanguageModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = TEMPLATE
    config = AutoConfig.from_pretrained(tiny_model)
    config.num_attention_heads, config.num_key_value_heads = 4, 2  # heads that share keys, as in SmolLM2
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    served = LanguageModel(tmp_path / "model", most=3)
    yield served, model
    served.close()


def is_alone(model, answer):
    """Whether the answer and its logprobs are what the model says of the prompt by itself."""
    import torch

    ids = torch.tensor([answer.prompt_ids])
    alone = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=len(answer.ids)
    )
    assert alone[0, ids.shape[1] :].tolist() == list(answer.ids)
    logits = model(torch.tensor([[*answer.prompt_ids, *answer.ids]])).logits[0]
    known = torch.log_softmax(logits[-len(answer.ids) - 1 : -1], -1)
    expected = known.gather(-1, torch.tensor(answer.ids)[:, None])[:, 0].tolist()
    assert answer.logprobs == pytest.approx(expected, abs=1e-3)
    return True


SYSTEM = {"role": "system", "content": "Mend one bug in this repository, step by step."}


@pytest.mark.train
def test_answers_of_a_batch_are_those_of_the_model_alone(served):
    policy, model = served
    asked = [
        Asked([SYSTEM, {"role": "user", "content": f"{'word ' * length}{length}"}], [TOOL], 0.0, tokens)
        for length, tokens in ((1, 12), (9, 5), (3, 9), (30, 12), (2, 70), (40, 3))
    ]
    first = policy.answer(asked[0])
    with ThreadPoolExecutor(6) as pool:  # more than go on at once: some join when others end
        answers = list(pool.map(policy.answer, asked))
    assert answers[0].ids == first.ids
    assert all(is_alone(model, answer) for answer in answers)


@pytest.mark.train
def test_a_turn_computes_what_it_adds_and_answers_as_if_it_had_computed_all(served):
    policy, model = served
    talk = [SYSTEM, {"role": "user", "content": "word " * 50}]
    policy.answer(Asked(talk, [TOOL], 0.0, 12))
    for turn in range(3):
        before = policy.computed
        talk = [*talk, {"role": "assistant", "content": f"Look {turn}."}, {"role": "tool", "content": "seen"}]
        answer = policy.answer(Asked(talk, [TOOL], 0.0, 12))
        assert is_alone(model, answer)
        assert policy.computed - before < 60 < len(answer.prompt_ids)
