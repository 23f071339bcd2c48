"""dpo, kto, reward: learning from better and worse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ...record.schema import Message
from .imitation import _unsound
from .options import ExportOptions, Tally
from .rows import Row, joined
from .view import Leaf, View, repaired_calls


def dpo(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Siblings at a branch point: the same exact prompt, two sampled messages, the better one by the mean
    reward of its real descendants. Whole paths are not paired, because their tool output would be trained."""
    for siblings in view.branch_points:
        valued = [(value, message) for message in siblings if (value := view.value(message.id)) is not None]
        if len(valued) < len(siblings):
            tally.drop("no_value", len(siblings) - len(valued))
        valued.sort(key=lambda pair: -pair[0])
        before = view.graph.path(siblings[0].id)[:-1]
        above = [view.context(message) for message in before]
        for (high, chosen), (low, rejected) in combinations(valued, 2):
            reason = _unfit_pair(view, options, chosen, rejected, high, low)
            if reason is None and None in above:
                reason = "not_text"
            if reason is not None:
                tally.drop(reason)
                continue
            yield Row(
                {
                    "prompt": joined(text for text in above if text is not None),
                    "chosen": joined([view.text(chosen) or ""]),
                    "rejected": joined([view.text(rejected) or ""]),
                    "tools": view.tools(chosen.agent),
                    "margin": round(high - low, 6),
                    "repaired_calls": repaired_calls(before),
                },
                view.instance,
            )


def _unfit_pair(
    view: View, options: ExportOptions, chosen: Message, rejected: Message, high: float, low: float
) -> str | None:
    if high - low < options.min_margin or high <= low:
        return "tie" if high <= low else "min_margin"
    if options.min_reward is not None and high < options.min_reward:
        return "min_reward"
    if view.text(chosen) == view.text(rejected):
        return "identical"
    for message in (chosen, rejected):
        if (reason := _unsound(view, message, options)) is not None:
            return reason
        if options.max_tokens is not None and view.token_count(message.id) > options.max_tokens:
            return "max_tokens"
    return None


def kto(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Every sampled message of a writer whose descendants agree on being good or bad; where they
    disagree the message is neither."""
    for message in view.record.messages:
        if not message.sampled or message.id not in view.writer_leaves:
            continue
        labels = set(view.good_below(message.id, options.only))
        before = view.graph.path(message.id)[:-1]
        above = [view.context(item) for item in before]
        if not labels:
            tally.drop("no_label")
        elif len(labels) > 1:
            tally.drop("mixed")
        elif (reason := _unsound(view, message, options)) is not None:
            tally.drop(reason)
        elif None in above:
            tally.drop("not_text")
        elif options.max_tokens is not None and view.token_count(message.id) > options.max_tokens:
            tally.drop("max_tokens")
        else:
            label = labels.pop()
            yield Row(
                {
                    "prompt": joined(text for text in above if text is not None),
                    "completion": joined([view.text(message) or ""]),
                    "label": label,
                    "tools": view.tools(message.agent),
                    "repaired_calls": repaired_calls(before),
                },
                view.instance,
                label,
            )


def reward(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Whole conversations of the same role on the same issue, the one with the higher reward chosen."""
    leaves: list[tuple[Leaf, float]] = []
    for leaf in view.leaves:
        if not leaf.writer:
            continue
        if leaf.reward is None:
            tally.drop("no_reward")
        elif leaf.offline and not options.include_offline:
            tally.drop("offline")
        elif any(view.context(message) is None for message in leaf.path):
            tally.drop("not_text")
        elif options.max_tokens is not None and view.token_count(leaf.tip) > options.max_tokens:
            tally.drop("max_tokens")
        else:
            leaves.append((leaf, leaf.reward))
    for (chosen, high), (rejected, low) in combinations(leaves, 2):
        if chosen.path[-1].agent != rejected.path[-1].agent:
            continue
        if high - low < options.min_margin or high <= low:
            tally.drop("tie" if high <= low else "min_margin")
        elif options.min_reward is not None and high < options.min_reward:
            tally.drop("min_reward")
        else:
            yield Row(
                {
                    "chosen": joined(view.context(message) or "" for message in chosen.path),
                    "rejected": joined(view.context(message) or "" for message in rejected.path),
                    "tools": view.tools(chosen.path[-1].agent),
                    "margin": round(high - low, 6),
                    "repaired_calls": repaired_calls((*chosen.path, *rejected.path)),
                },
                view.instance,
            )
