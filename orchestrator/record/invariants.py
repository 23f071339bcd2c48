"""What holds in every record, each law under a name; `check` refuses a record that breaks one.

| name | law |
|---|---|
| unique-ids | ids of messages, nodes, patches, agents and toolsets are unique |
| parents-first | a message or node comes after its parent |
| references | tips, patches, evaluations, agents, toolsets, nodes refer to what exists |
| one-call | sampled messages are assistant messages with exactly one call; nothing else has a call |
| exact-prompt | the path above a sampled message is the prompt that was sent |
| token-lengths | mask as long as the ids, of 0 and 1; one logprob per sampled token; on sampled messages only |
| arguments | parsed arguments are what the raw string says |
| tool-results | every tool result answers a call above it, once |
| reward-sum | the total is the sum of weight times value of the measured components |
| resolved | `resolved` is what a valid hidden evaluation of the selected node says |
| null-not-zero | what was not measured is null |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from ...agents.models.prompt_digest import ROOT
from ...tools.errors import RecordError
from .graph import chains
from .schema import Message, Trajectory
from .tool_arguments import parsed

REWARD_LAWS = ("reward-sum", "null-not-zero")


def check(record: Trajectory, laws: Iterable[str] | None = None) -> None:
    """`laws`: only those (None: all), for a checked record of which only a part was changed.
    Raises: RecordError `invariant NAME: what` for the first law that is broken."""
    for name in INVARIANTS if laws is None else laws:
        for violation in INVARIANTS[name](record):
            raise RecordError(f"run {record.run_id}: invariant {name}: {violation}")


def _unique_ids(record: Trajectory) -> Iterator[str]:
    groups: dict[str, Iterable[str]] = {
        "message": (item.id for item in record.messages),
        "node": (item.id for item in record.nodes),
        "patch": (item.id for item in record.patches),
        "agent": (item.name for item in record.agents),
        "toolset": (item.name for item in record.toolsets),
    }
    for kind, ids in groups.items():
        seen: set[str] = set()
        for one in ids:
            if one in seen:
                yield f"{kind} id {one!r} is used twice"
            seen.add(one)


def _parents_first(record: Trajectory) -> Iterator[str]:
    for kind, items in (("message", record.messages), ("node", record.nodes)):
        seen: set[str] = set()
        for item in items:
            if item.parent is not None and item.parent not in seen:
                yield f"{kind} {item.id!r} comes before its parent {item.parent!r}"
            seen.add(item.id)


def _references(record: Trajectory) -> Iterator[str]:
    messages = {message.id for message in record.messages}
    nodes = {node.id for node in record.nodes}
    patches = {patch.id for patch in record.patches}
    agents = {agent.name for agent in record.agents}
    toolsets = {toolset.name for toolset in record.toolsets}

    def missing(what: str, name: str | None, known: set[str], kind: str) -> Iterator[str]:
        if name is not None and name not in known:
            yield f"{what} refers to the unknown {kind} {name!r}"

    for agent in record.agents:
        yield from missing(f"agent {agent.name!r}", agent.toolset, toolsets, "toolset")
    for message in record.messages:
        yield from missing(f"message {message.id!r}", message.agent, agents, "agent")
        yield from missing(f"message {message.id!r}", message.node, nodes, "node")
    for call in record.calls:
        yield from missing("a call", call.message, messages, "message")
    for node in record.nodes:
        here = f"node {node.id!r}"
        yield from missing(here, node.patch, patches, "patch")
        yield from missing(here, node.duplicate_of, nodes, "node")
        for agent, tip in node.tips.items():
            yield from missing(f"a tip of {here}", agent, agents, "agent")
            yield from missing(f"a tip of {here}", tip, messages, "message")
    for patch in record.patches:
        yield from missing(f"patch {patch.id!r}", patch.node, nodes, "node")
    for evaluation in record.evaluations:
        yield from missing(f"an evaluation ({evaluation.kind})", evaluation.node, nodes, "node")
    if record.selected is not None:
        yield from missing("the selection", record.selected.node, nodes, "node")
        yield from missing("the selection", record.selected.patch, patches, "patch")


def _one_call(record: Trajectory) -> Iterator[str]:
    sampled = {message.id: message for message in record.messages if message.sampled}
    seen: set[str] = set()
    for call in record.calls:
        if call.message not in sampled:
            yield f"a call claims message {call.message!r}, which was not sampled"
        if call.message in seen:
            yield f"message {call.message!r} has two calls"
        seen.add(call.message)
    for message in sampled.values():
        if message.role != "assistant":
            yield f"message {message.id!r} is marked sampled but its role is {message.role}"
        if message.id not in seen:
            yield f"message {message.id!r} is marked sampled but no call sampled it"


def _exact_prompt(record: Trajectory) -> Iterator[str]:
    sent = {call.message: call.prompt_sha256 for call in record.calls if call.prompt_sha256 is not None}
    if not sent:
        return
    chain = chains(record.messages)
    for message in record.messages:
        if message.id in sent:
            above = (chain[message.parent] if message.parent is not None else ROOT).hex()
            if above != sent[message.id]:
                yield f"the path above message {message.id!r} is not the prompt that its call was sent"


def _token_lengths(record: Trajectory) -> Iterator[str]:
    for message in record.messages:
        tokens = message.tokens
        if tokens is None:
            continue
        here = f"message {message.id!r}"
        if not message.sampled:
            yield f"{here} carries tokens but was not sampled"
        if len(tokens.mask) != len(tokens.token_ids):
            yield f"{here} has {len(tokens.token_ids)} token ids and a mask of {len(tokens.mask)}"
        if not set(tokens.mask) <= {0, 1}:
            yield f"{here} has a mask of other values than 0 and 1"
        if tokens.logprobs is not None:
            if len(tokens.logprobs) != sum(tokens.mask):
                yield f"{here} has {len(tokens.logprobs)} logprobs for {sum(tokens.mask)} sampled tokens"
            if not all(math.isfinite(value) and value <= 0 for value in tokens.logprobs):
                yield f"{here} has a logprob above 0 or not finite"
        if min(*tokens.token_ids, *(tokens.context_ids or ()), 0, 0) < 0:
            yield f"{here} has a negative token id"


def _arguments(record: Trajectory) -> Iterator[str]:
    for message in record.messages:
        for call in message.tool_calls:
            if call.arguments_parsed != parsed(call.function.arguments):
                yield f"message {message.id!r}: arguments_parsed of call {call.id!r} is not its raw string"


def _tool_results(record: Trajectory) -> Iterator[str]:
    messages = {message.id: message for message in record.messages}
    for message in record.messages:
        if message.role == "tool":
            yield from _answers(message, messages)
        elif message.tool_call_id is not None:
            yield f"message {message.id!r} answers a tool call but its role is {message.role}"
        if message.role != "assistant" and message.tool_calls:
            yield f"message {message.id!r} makes tool calls but its role is {message.role}"


def _answers(message: Message, messages: dict[str, Message]) -> Iterator[str]:
    at = message.parent
    while at is not None:
        above = messages[at]
        if above.role == "tool" and above.tool_call_id == message.tool_call_id:
            yield f"message {message.id!r} answers call {message.tool_call_id!r} a second time"
            return
        if any(call.id == message.tool_call_id for call in above.tool_calls):
            return
        at = above.parent
    yield f"message {message.id!r} answers call {message.tool_call_id!r}, which nothing above it made"


def _reward_sum(record: Trajectory) -> Iterator[str]:
    for node in record.nodes:
        if node.reward is None or node.reward.total is None:
            continue
        parts = node.reward.components.values()
        total = sum(part.value * part.weight for part in parts if part.value is not None)
        if not math.isclose(total, node.reward.total, rel_tol=1e-6, abs_tol=1e-6):
            yield f"node {node.id!r}: the total is {node.reward.total} but its components sum to {total}"


def _resolved(record: Trajectory) -> Iterator[str]:
    if record.outcome.resolved is None:
        return
    node = record.selected.node if record.selected is not None else None
    hidden = [
        found
        for found in record.evaluations
        if found.kind == "hidden" and found.valid and node is not None and found.node == node
    ]
    counts = [pair for pair in (hidden[-1].f2p, hidden[-1].p2p) if pair is not None] if hidden else []
    if not counts:
        yield "resolved is set without a valid hidden evaluation of the selected node"
    elif all(passed == total for passed, total in counts) != record.outcome.resolved:
        yield f"resolved is {record.outcome.resolved} against the hidden evaluation of the selected node"


def _null_not_zero(record: Trajectory) -> Iterator[str]:
    for node in record.nodes:
        reward = node.reward
        if reward is not None and reward.total is not None:
            if node.exit_status == "infrastructure":
                yield f"node {node.id!r} failed by infrastructure but has the reward {reward.total}"
            if all(part.value is None for part in reward.components.values()):
                yield f"node {node.id!r} has the reward {reward.total} though no component was measured"
        if node.value is not None and node.visits == 0:
            yield f"node {node.id!r} has a value though nothing below it was measured"
    for found in record.evaluations:
        for name, pair in (("f2p", found.f2p), ("p2p", found.p2p)):
            if pair is not None and not 0 <= pair[0] <= pair[1]:
                yield f"an evaluation of node {found.node!r} has {name} {list(pair)}"
    totals = record.totals
    for name in ("prompt_tokens", "completion_tokens", "cost_usd"):
        values = [getattr(call.usage, name) for call in record.calls]
        if getattr(totals, name) is not None and (None in values or not values):
            yield f"totals.{name} is {getattr(totals, name)} though it was not reported for every call"


INVARIANTS: dict[str, Callable[[Trajectory], Iterator[str]]] = {
    "unique-ids": _unique_ids,
    "parents-first": _parents_first,
    "references": _references,
    "one-call": _one_call,
    "exact-prompt": _exact_prompt,
    "token-lengths": _token_lengths,
    "arguments": _arguments,
    "tool-results": _tool_results,
    "reward-sum": _reward_sum,
    "resolved": _resolved,
    "null-not-zero": _null_not_zero,
}
