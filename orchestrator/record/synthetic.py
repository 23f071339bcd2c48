"""synthetic_record: valid records of any size under a seed, for benchmarks, tests and trying out exports.

Nothing in them happened: the source says `synthetic`, and no benchmark is named.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any, Unpack

from ...agents.models.prompt_digest import ROOT, Chain, extend
from .build import backpropagate, validated
from .draft import (
    EvaluationDraft,
    MessageDraft,
    ModelCallDraft,
    NodeDraft,
    PatchDraft,
    RecordDraft,
    SaidDraft,
)
from .invariants import check
from .schema import Trajectory

_WORDS = (
    "parse",
    "buffer",
    "index",
    "token",
    "cache",
    "header",
    "offset",
    "value",
    "query",
    "field",
    "socket",
)
_TOOLS = {
    "readFile": {"path": "str", "start": "int"},
    "search": {"query": "str"},
    "editFile": {"path": "str", "old": "str", "new": "str"},
    "runTests": {"tests": "str"},
    "finish": {"summary": "str"},
}
_JSON_TYPES = {"str": "string", "int": "integer"}


def synthetic_record(
    seed: int,
    *,
    steps: int = 6,
    branches: int = 2,
    observation_chars: int = 200,
    tokens: bool = True,
    is_llm: bool = True,
    vocabulary: int = 512,
) -> Trajectory:
    """A run whose coder takes `steps` sampled steps on each of `branches` paths; the paths share the first
    half and part at one message. The first branch is resolved, the others are not, so that every kind of
    export has something to say. Token ids are below `vocabulary`."""
    maker = _Maker(seed, observation_chars, tokens, vocabulary, is_llm)
    shared = 0 if branches == 1 else steps // 2
    chain, tip = maker.open()
    for step in range(shared):
        chain, tip = maker.step("n0", chain, tip, step, last=False)
    for branch in range(branches):
        node = f"n{branch + 1}"
        maker.nodes.append({"id": node, "parent": "n0", "kind": "rollout", "agent": "coder", "depth": 1})
        at_chain, at = chain, tip
        for step in range(shared, steps):
            at_chain, at = maker.step(node, at_chain, at, step, last=step == steps - 1)
        maker.close(node, at, good=branch == 0)
    record = validated(maker.data())
    backpropagate(record.nodes)
    check(record)
    return record


def synthetic_records(count: int, *, seed: int = 0, **options: Any) -> Iterator[Trajectory]:
    """`count` records with seeds counted up from `seed`."""
    for number in range(count):
        yield synthetic_record(seed + number, **options)


class _Maker:
    def __init__(
        self, seed: int, observation_chars: int, tokens: bool, vocabulary: int, is_llm: bool
    ) -> None:
        self.seed = seed
        self.random = random.Random(f"synthetic:{seed}")
        self.chars = observation_chars
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.is_llm = is_llm
        self.messages: list[MessageDraft] = []
        self.calls: list[ModelCallDraft] = []
        self.nodes: list[NodeDraft] = [{"id": "n0", "kind": "root", "depth": 0}]
        self.patches: list[PatchDraft] = []
        self.evaluations: list[EvaluationDraft] = []
        self.pending: dict[str, list[int]] = {}

    def text(self, words: int) -> str:
        return " ".join(self.random.choices(_WORDS, k=words))

    def open(self) -> tuple[Chain, str]:
        chain, tip = ROOT, ""
        for role, content in (
            ("system", "You fix issues in a repository with the tools you are given."),
            ("user", f"Fix the {self.text(3)} of issue {self.seed}."),
        ):
            chain, tip = self.say("n0", chain, tip, role=role, content=content)
        return chain, tip

    def say(self, node: str, chain: Chain, parent: str, **fields: Unpack[SaidDraft]) -> tuple[Chain, str]:
        id = f"m{len(self.messages)}"
        message: MessageDraft = {"id": id, "parent": parent or None, "agent": "coder", "node": node, **fields}
        self.messages.append(message)
        if self.tokens and not fields.get("sampled"):
            self.pending[id] = [*self.pending.get(parent, ()), *self.ids(message["content"])]
        return extend(chain, message), id

    def ids(self, text: str) -> list[int]:
        return [3 + hash_byte % (self.vocabulary - 3) for hash_byte in text.encode()[:12]]

    def step(self, node: str, chain: Chain, parent: str, step: int, *, last: bool) -> tuple[Chain, str]:
        name = "finish" if last else self.random.choice(["readFile", "search", "editFile", "runTests"])
        arguments = {
            key: self.random.randrange(1, 400) if kind == "int" else self.text(2)
            for key, kind in _TOOLS[name].items()
        }
        raw = json.dumps(arguments)
        call = {"id": f"c{len(self.calls)}", "function": {"name": name, "arguments": raw}}
        sampled: SaidDraft = {
            "role": "assistant",
            "content": f"I {self.text(4)} ({node}, {step}).",
            "tool_calls": [{**call, "arguments_parsed": arguments}],
            "sampled": True,
        }
        if self.tokens:
            between = self.pending.get(parent, [])
            own = self.ids(sampled["content"] + raw)
            sampled["tokens"] = {
                "tokenizer": "synthetic",
                "token_ids": between + own,
                "mask": [0] * len(between) + [1] * len(own),
                "logprobs": [-round(self.random.random(), 4) for _ in own],
            }
        self.calls.append(
            {
                "message": f"m{len(self.messages)}",
                "model": "synthetic",
                "is_llm": self.is_llm,
                "sampling": {"temperature": 1.0},
                "finish_reason": "tool_calls",
                "usage": {"prompt_tokens": 100 + step, "completion_tokens": 10},
                "latency_s": 0.5,
                "attempts": 1,
                "prompt_sha256": chain.hex(),
            }
        )
        chain, tip = self.say(node, chain, parent, **sampled)
        return self.say(
            node,
            chain,
            tip,
            role="tool",
            content=(self.text(1 + self.chars // 7))[: self.chars],
            tool_call_id=call["id"],
            name=name,
        )

    def close(self, node: str, tip: str, *, good: bool) -> None:
        file = f"src/{self.random.choice(_WORDS)}.py"
        old, new = self.text(3), self.text(3)
        text = f"diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{old}\n+{new} # {node}\n"
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.patches.append(
            {"id": f"p-{node}", "node": node, "text": text, "sha256": digest, "files": [file]}
        )
        rate = 1.0 if good else self.random.choice([0.0, 0.25, 0.5])
        components = {"tests": {"value": rate, "weight": 1.0}, "coverage": {"value": None, "weight": 0.2}}
        self.nodes[-1].update(
            {
                "tips": {"coder": tip},
                "reward": {"total": rate, "components": components, "spec": "synthetic"},
                "patch": f"p-{node}",
                "tree_hash": digest[:40],
                "terminal": True,
                "exit_status": "finished",
            }
        )
        counts = [4, 4] if good else [int(rate * 4), 4]
        for kind in ("visible", "hidden"):
            self.evaluations.append({"node": node, "kind": kind, "f2p": counts, "p2p": [9, 9], "valid": True})

    def data(self) -> RecordDraft:
        tools = [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": f"The {name} tool.",
                    "parameters": {
                        "type": "object",
                        "properties": {key: {"type": _JSON_TYPES[kind]} for key, kind in fields.items()},
                        "required": list(fields),
                    },
                },
            }
            for name, fields in _TOOLS.items()
        ]
        return {
            "run_id": f"synthetic-{self.seed}",
            "task": {
                "instance_id": f"synthetic-{self.seed}",
                "repository": "synthetic/synthetic",
                "base_commit": hashlib.sha1(str(self.seed).encode()).hexdigest(),
                "problem_statement": self.messages[1]["content"],
                "source": "synthetic",
                "split": "train",
            },
            "agents": [
                {
                    "name": "coder",
                    "role": "coder",
                    "model": "synthetic",
                    "is_llm": self.is_llm,
                    "toolset": "coder",
                }
            ],
            "toolsets": [{"name": "coder", "tools": tools}],
            "messages": self.messages,
            "calls": self.calls,
            "nodes": self.nodes,
            "evaluations": self.evaluations,
            "patches": self.patches,
            "selected": {"node": "n1", "patch": "p-n1"},
            "outcome": {"exit_code": 0, "status": "solved", "verified": True, "resolved": True},
            "provenance": {"versions": {"swe-agent": "synthetic"}, "seed": self.seed},
            "totals": {
                "calls": len(self.calls),
                "prompt_tokens": sum(call["usage"]["prompt_tokens"] or 0 for call in self.calls),
                "completion_tokens": 10 * len(self.calls),
            },
        }
