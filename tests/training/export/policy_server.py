"""A language model for tests: an OpenAI-compatible endpoint on loopback that returns exact token ids.

Its tokenizer is the identity on bytes and its chat template only ever appends, so what was sampled can be
read back from the ids. The Coder's first tries are wrong and later ones right.
"""

import json
import threading

from servers.json_server import JsonServer

WRITTEN = "tests/test_issue_0.py"
TEST = "from fees import hours\n\n\ndef test_two():\n    assert hours(120) == 2\n"


def render(message):
    """One message as the template writes it."""
    calls = "".join(
        f"<call>{call['function']['name']} {call['function']['arguments']}</call>"
        for call in message.get("tool_calls") or ()
    )
    return f"<{message['role']}>{message.get('content') or ''}{calls}</{message['role']}>"


class PolicyServer(JsonServer):
    """`tries` are the texts that the Coder puts in place of `old`, one per conversation, the last repeated."""

    def __init__(self, path, old, tries, failing):
        self.path, self.old, self.tries, self.failing = path, old, tries, failing
        self.started = 0
        self.lock = threading.Lock()
        super().__init__(self.answer)

    @property
    def url(self):
        return f"{self.origin}/v1"

    def answer(self, body):
        messages = body["messages"]
        name, arguments, text = self.decide(messages)
        call = {
            "id": f"call_{len(messages)}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        message = {"role": "assistant", "content": text, "tool_calls": [call]}
        prompt = "".join(map(render, messages)).encode()
        sampled = render(message).encode()
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(sampled)}
        usage["total_tokens"] = len(prompt) + len(sampled)
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "bytes",
            "prompt_token_ids": list(prompt),
            "usage": usage,
            "choices": [
                {"index": 0, "finish_reason": "tool_calls", "message": message, "token_ids": list(sampled)},
            ],
        }

    def decide(self, messages):
        system = messages[0]["content"]
        turn = sum(message["role"] == "assistant" for message in messages)
        if "You are the Tester" in system:
            if turn == 0:
                return "writeFile", {"path": WRITTEN, "content": TEST}, "I write a test."
            return (
                "finish",
                {
                    "summary": "seen",
                    "failingTests": [*self.failing, f"{WRITTEN}::test_two"],
                    "reproduced": True,
                },
                "It fails.",
            )
        if "You are the Critic" in system:
            scores = dict.fromkeys(("addressesIssue", "safeForCallers", "minimal", "honest"), 8)
            return "finish", {"accept": True, "scores": scores, "rationale": "fine"}, "I accept."
        if "You are the Debugger" in system:
            return "finish", {"summary": "no idea", "gaveUp": True}, "I give up."
        if turn == 0:
            with self.lock:
                new = self.tries[min(self.started, len(self.tries) - 1)]
                self.started += 1
            edits = [{"oldText": self.old, "newText": new}]
            return "editFile", {"path": self.path, "edits": edits}, f"I try {new}."
        if turn == 1:
            return "runTests", {}, "I check it."
        return "finish", {"summary": "done", "gaveUp": False}, "I am done."
