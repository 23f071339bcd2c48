"""dpo, kto, reward: learning from better and worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from ...record.schema import Message
from .imitation import _unsound
from .options import ExportOptions, Tally
from .rows import Row, joined
from .thinning import Draft, thinned
from .view import Leaf, View, repaired_calls


def dpo(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Siblings at a branch point: the same exact prompt, two sampled messages, the better one by the mean
    reward of its real descendants. Whole paths are not paired, because their tool output would be trained."""
    return thinned(view, _siblings(view, options, tally), options, tally)


def _siblings(view: View, options: ExportOptions, tally: Tally) -> Iterator[Draft]:
    for siblings in view.branch_points:
        valued = [(value, message) for message in siblings if (value := view.value(message.id)) is not None]
        if len(valued) < len(siblings):
            tally.drop("no_value", len(siblings) - len(valued))
        valued.sort(key=lambda pair: -pair[0])
        known = view.history(siblings[0]) is not None
        before = view.graph.path(siblings[0].id)[:-1]
        for (high, chosen), (low, rejected) in combinations(valued, 2):
            reason = _unfit_pair(view, options, chosen, rejected, high, low)
            if reason is None and not known:
                reason = "not_text"
            if reason is not None:
                tally.drop(reason)
                continue
            size = view.repeated(chosen) + len(view.text(rejected) or "")
            yield Draft(size, partial(_pair, view, before, chosen, rejected, high - low))


def _pair(view: View, before: Sequence[Message], chosen: Message, rejected: Message, margin: float) -> Row:
    return Row(
        {
            "prompt": joined(view.context(message) or "" for message in before),
            "chosen": joined([view.text(chosen) or ""]),
            "rejected": joined([view.text(rejected) or ""]),
            "tools": view.tools(chosen.agent),
            "margin": round(margin, 6),
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
        if view.too_long(message.id, options):
            return "max_tokens"
    return None


def kto(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Every sampled message of a writer whose descendants agree on being good or bad; where they
    disagree the message is neither."""
    return thinned(view, _judged(view, options, tally), options, tally)


def _judged(view: View, options: ExportOptions, tally: Tally) -> Iterator[Draft]:
    for message in view.record.messages:
        if not message.sampled or message.id not in view.writer_leaves:
            continue
        labels = set(view.good_below(message.id, options.only))
        if not labels:
            tally.drop("no_label")
        elif len(labels) > 1:
            tally.drop("mixed")
        elif (reason := _unsound(view, message, options)) is not None:
            tally.drop(reason)
        elif view.history(message) is None:
            tally.drop("not_text")
        elif view.too_long(message.id, options):
            tally.drop("max_tokens")
        else:
            label = labels.pop()
            yield Draft(view.repeated(message), partial(_judgement, view, message, label), label)


def _judgement(view: View, message: Message, label: bool) -> Row:
    before = view.graph.path(message.id)[:-1]
    return Row(
        {
            "prompt": joined(view.context(item) or "" for item in before),
            "completion": joined([view.text(message) or ""]),
            "label": label,
            "tools": view.tools(message.agent),
            "repaired_calls": repaired_calls(before),
        },
        view.instance,
        label,
    )


def reward(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Whole conversations on the same issue of the same role with the same tools and system message, whatever the
    model; the one with the higher reward chosen."""
    return thinned(view, _conversations(view, options, tally), options, tally)


def _conversations(view: View, options: ExportOptions, tally: Tally) -> Iterator[Draft]:
    leaves: list[tuple[Leaf, float]] = []
    for leaf in view.leaves:
        if not leaf.writer:
            continue
        if leaf.reward is None:
            tally.drop("no_reward")
        elif leaf.offline and not options.include_offline:
            tally.drop("offline")
        elif view.history(leaf.path[-1]) is None or view.context(leaf.path[-1]) is None:
            tally.drop("not_text")
        elif view.too_long(leaf.tip, options):
            tally.drop("max_tokens")
        else:
            leaves.append((leaf, leaf.reward))
    for (chosen, high), (rejected, low) in combinations(leaves, 2):
        if _setting(view, chosen) != _setting(view, rejected):
            continue
        if high - low < options.min_margin or high <= low:
            tally.drop("tie" if high <= low else "min_margin")
        elif options.min_reward is not None and high < options.min_reward:
            tally.drop("min_reward")
        else:
            size = view.repeated(chosen.path[-1]) + view.repeated(rejected.path[-1])
            yield Draft(size, partial(_better, view, chosen, rejected, high - low))


def _setting(view: View, leaf: Leaf) -> tuple[str, str, str | None]:
    """Role, tools and system message: conversations of other programs differ by more than their worth."""
    first = leaf.path[0]
    system = view.context(first) if first.role in ("system", "developer") else None
    return leaf.role, view.tools(leaf.path[-1].agent), system


def _better(view: View, chosen: Leaf, rejected: Leaf, margin: float) -> Row:
    return Row(
        {
            "chosen": joined(view.context(message) or "" for message in chosen.path),
            "rejected": joined(view.context(message) or "" for message in rejected.path),
            "tools": view.tools(chosen.path[-1].agent),
            "margin": round(margin, 6),
            "repaired_calls": repaired_calls((*chosen.path, *rejected.path)),
        },
        view.instance,
    )
