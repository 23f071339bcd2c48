"""orm, prm: data for verifiers of outcomes and of steps, labelled by real descendants."""

from __future__ import annotations

from collections.abc import Iterator

from ...record.question import QUESTION
from ...record.schema import Message, PatchEntry
from ..rewards.potential import step_rewards
from .advantages import Advantages
from .options import ExportOptions, Tally
from .rows import Row, compact
from .view import View


def orm(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One row per distinct candidate with a known label: a generative verifier reads issue and patch."""
    patches = {patch.id: patch for patch in view.record.patches}
    for node in view.record.nodes:
        patch = patches.get(node.patch or "")
        if patch is None or not patch.text.strip():
            continue
        label = view.label(node.id).of(options.only)
        digest = patch.normalised_hash or patch.sha256 or patch.text
        if node.exit_status == "infrastructure":
            tally.drop("infrastructure")
        elif label is None:
            tally.drop("no_label")
        elif not options.include_offline and view.by_program(node.id):
            tally.drop("offline")
        elif options.max_tokens is not None and len(_question(view, patch)) // 4 > options.max_tokens:
            tally.drop("max_tokens")
        elif not tally.first(view.instance, digest):
            tally.drop("duplicate")
        else:
            yield Row(
                {
                    "prompt": [{"role": "user", "content": _question(view, patch)}],
                    "completion": [{"role": "assistant", "content": "YES" if label else "NO"}],
                    "label": label,
                },
                view.instance,
                label,
            )


def prm(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One row per path of a writer. A step is what was observed since the last one and the sampled message;
    its label: a good leaf is reachable from it; its value: the mean reward of its real descendants; its reward:
    the change of that value, so that the rewards of a path sum to the leaf's reward minus the mean of its run."""
    root = view.mean_reward
    advantages = Advantages(view)
    for leaf in view.leaves:
        if not leaf.writer:
            continue
        sampled = [message for message in leaf.path if message.sampled]
        values = [view.value(message.id) for message in sampled]
        below = [view.good_below(message.id, options.only) for message in sampled]
        if leaf.offline and not options.include_offline:
            tally.drop("offline")
        elif any(not labels for labels in below):
            tally.drop("no_label")
        elif any(value is None for value in values):
            tally.drop("no_value")
        elif any(not isinstance(message.content, str) for message in leaf.path):
            tally.drop("not_text")
        elif view.too_long(leaf.tip, options):
            tally.drop("max_tokens")
        else:
            steps: list[str] = []
            since: list[Message] = []
            for message in leaf.path[leaf.first :]:
                since.append(message)
                if message.sampled:
                    steps.append("\n\n".join(_plain(item) for item in since))
                    since = []
            yield Row(
                {
                    "prompt": "\n\n".join(_plain(message) for message in leaf.path[: leaf.first]),
                    "completions": steps,
                    "labels": [any(labels) for labels in below],
                    "values": [round(value, 6) for value in values if value is not None],
                    "rewards": [
                        None if one is None else round(one, 6) for one in step_rewards([root, *values])
                    ],
                    "advantages": [
                        None if (one := advantages.step(message)) is None else round(one, 6)
                        for message in sampled
                    ],
                },
                view.instance,
            )


def _question(view: View, patch: PatchEntry) -> str:
    return QUESTION.format(issue=view.record.task.problem_statement, patch=patch.text)


def _plain(message: Message) -> str:
    """A message as text: what it says, then its calls as JSON."""
    calls = [
        f"<tool_call>{compact({'name': call.function.name, 'arguments': call.arguments_parsed})}</tool_call>"
        if call.arguments_parsed is not None
        else f"<tool_call>{call.function.name} {call.function.arguments}</tool_call>"
        for call in message.tool_calls
    ]
    content = message.content if isinstance(message.content, str) else ""
    if message.role == "tool":
        return f"<tool_response>{content}</tool_response>"
    return "\n".join([content, *calls] if content else calls) or "(empty)"
