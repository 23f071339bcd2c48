"""TRL's asynchronous GRPO takes our environment: what it sends to its rollout process can be pickled, and its rollout
loop acts in the environment and reads the reward. The policy is a loopback server that speaks vLLM's completions."""

import json
import pickle
import queue
import threading
from multiprocessing import get_context

import pytest
from servers.json_server import JsonServer
from training.checkout import ONE, committed

from swe_agent.orchestrator.training.gym.session import session_factory

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("trl.experimental.async_grpo", reason="needs the extra train: trl is not installed")


class Completions(JsonServer):
    """Edits in the first turn, rightly every second time, and says that it is done in the next."""

    def __init__(self, tokenizer):
        self.tokenizer, self.started = tokenizer, 0
        self.lock = threading.Lock()
        super().__init__(self.answer)

    def answer(self, body):
        ids = self.sample(body["prompt"])
        choice = {"token_ids": ids, "logprobs": {"token_logprobs": [-0.5] * len(ids)}}
        return {"choices": [choice]}

    def sample(self, prompt):
        text = "Done."
        if self.tokenizer.decode(prompt).count("<|im_start|>assistant") == 1:
            with self.lock:
                self.started += 1
                new = "return 1" if self.started % 2 else "return 3"
            call = {
                "name": "editFile",
                "arguments": {"path": "a.py", "edits": [{"oldText": "return 2", "newText": new}]},
            }
            text = f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
        said = f"<think>\n\n</think>\n\n{text}<|im_end|>"  # as the template writes it, so that nothing is rewritten
        return self.tokenizer(said, add_special_tokens=False)["input_ids"]


def edited_to(sample, text):
    (call,) = sample.completion[0]["tool_calls"]
    return call["function"]["arguments"]["edits"][0]["newText"] == text


@pytest.fixture
def checkout(tmp_path):
    return committed(tmp_path / "repo", ONE)


def test_the_rollout_loop_acts_in_our_environment(checkout, tiny_model):
    from accelerate.state import PartialState
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl.experimental.async_grpo.async_rollout_worker import _AsyncRolloutLoop

    PartialState()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    server = Completions(tokenizer)
    row = {
        "prompt": [{"role": "user", "content": "one() is 2"}],
        "instance_id": "a",
        "repository": str(checkout),
        "base_commit": "",
        "problem_statement": "one() is 2",
    }
    sent = {
        "model_name": "policy",
        "dataset": Dataset.from_list([row]),
        "reward_funcs": [],
        "processing_class": tokenizer,
        "eos_token_ids": [tokenizer.eos_token_id],
        "environment_factory": session_factory(max_steps=4),
        "num_generations": 2,
        "max_inflight_tasks": 2,
        "max_tokens": 200,
        "vllm_server_url": server.origin,
        "max_tool_calling_iterations": 3,
    }
    spawn = get_context("spawn")
    samples = queue.Queue()
    loop = _AsyncRolloutLoop(
        **pickle.loads(pickle.dumps(sent)),  # what AsyncRolloutWorker.start does with it
        rollout_buffer=samples,
        model_version_value=spawn.Value("i", 0),
        heartbeat_value=spawn.Value("d", 0.0),
        failed_event=(failed := spawn.Event()),
        exception_info_queue=(why := queue.Queue(maxsize=1)),
        metrics_queue=queue.Queue(),
    )
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    try:
        found = [samples.get(timeout=90) for _ in range(2)]
    finally:
        loop._loop.call_soon_threadsafe(loop._stop_event.set)
        thread.join(timeout=60)
        server.close()
    assert not failed.is_set(), why.get_nowait()
    (good,), (bad,) = (
        [sample for sample in found if edited_to(sample, text)] for text in ("return 1", "return 3")
    )
    assert good.advantage > 0 > bad.advantage, "the tests of the working tree are the reward"
    assert "edited a.py" in good.completion[1]["content"]
    trained = tokenizer.decode(
        [token for token, own in zip(good.input_ids, good.completion_mask, strict=True) if own]
    )
    assert '"editFile"' in trained
    assert "edited a.py" not in trained, "what the tool answered is context"
