"""sft, sft_pc, sft_tokens: learning from what was sampled, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ...record.schema import Message
from .options import ExportOptions, Tally
from .rows import Row, compact, joined
from .segments import segments
from .thinning import Draft, thinned
from .view import Leaf, View, repaired_calls


def sft(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One whole conversation per finished path. Every assistant message of it enters the loss
    (`assistant_only_loss`), so a path with one that must not is left out."""
    for leaf in kept_leaves(view, options, tally):
        reason = _untrainable(view, leaf, options)
        if reason is not None:
            tally.drop(reason)
            continue
        texts = [view.text(message) for message in leaf.path]
        tools = view.tools(leaf.path[-1].agent)
        if view.too_long(leaf.tip, options, tools):
            tally.drop("max_tokens")
            continue
        yield Row(
            {
                "messages": joined(text for text in texts if text is not None),
                "tools": tools,
                "role": leaf.role,
                "metadata": metadata(view, leaf),
            },
            view.instance,
        )


def sft_pc(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One row per sampled message, the path above it as prompt: a prefix that several paths share is
    trained once, and no chat template has to mark what the assistant said."""
    return thinned(view, _completions(view, options, tally), options, tally)


def _completions(view: View, options: ExportOptions, tally: Tally) -> Iterator[Draft]:
    done: set[str] = set()
    for leaf in kept_leaves(view, options, tally):
        tools = view.tools(leaf.path[-1].agent)
        for place, message in enumerate(leaf.path):
            if not message.sampled or message.id in done:
                continue
            done.add(message.id)
            reason = _unsound(view, message, options)
            if reason is None and view.history(message) is None:
                reason = "not_text"
            if reason is None and view.too_long(message.id, options, tools):
                reason = "max_tokens"
            if reason is not None:
                tally.drop(reason)
            else:
                make = partial(_completion, view, leaf.path[:place], message, leaf.role)
                yield Draft(view.repeated(message), make)


def _completion(view: View, above: Sequence[Message], message: Message, role: str) -> Row:
    return Row(
        {
            "prompt": joined(view.context(item) or "" for item in above),
            "completion": joined([view.text(message) or ""]),
            "tools": view.tools(message.agent),
            "role": role,
            "repaired_calls": repaired_calls(above),
        },
        view.instance,
    )


def sft_tokens(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """The very ids that were sampled. Everything else, what another row trains already, and messages that
    a program wrote or that went wrong are -100."""
    done: set[str] = set()
    for leaf in kept_leaves(view, options, tally):
        parts = segments(leaf.path)
        if parts is None:
            tally.drop("no_token_ids")
            continue
        for part in parts:
            labels: list[int] = []
            for message, ids, mask in part.spans:
                train = message is not None and message.id not in done and not _masked(view, message, options)
                labels += [one if train and bit else -100 for one, bit in zip(ids, mask, strict=True)]
                if message is not None:
                    done.add(message.id)
            ids = part.ids
            if not any(label != -100 for label in labels):
                tally.drop("nothing_to_train")
            elif options.max_tokens is not None and len(ids) > options.max_tokens:
                tally.drop("max_tokens")
            else:
                yield Row({"input_ids": ids, "labels": labels}, view.instance)


def kept_leaves(view: View, options: ExportOptions, tally: Tally) -> Iterator[Leaf]:
    """Finished paths that may be imitated, best first, one per distinct candidate."""
    for leaf in view.leaves:
        good = leaf.label.resolved if options.only == "resolved" else leaf.label.of("verified")
        if leaf.failed:
            tally.drop("infrastructure")
        elif options.only == "unfailed" and good is False:
            tally.drop("failed_candidate")
        elif options.only in ("resolved", "verified") and not good:
            tally.drop(f"not_{options.only}")
        elif options.min_reward is not None and leaf.writer and leaf.reward is None:
            tally.drop("no_reward")
        elif options.min_reward is not None and leaf.writer and (leaf.reward or 0.0) < options.min_reward:
            tally.drop("min_reward")
        elif leaf.digest is not None and not tally.first(view.instance, leaf.role, leaf.digest):
            tally.drop("duplicate")
        else:
            yield leaf


def metadata(view: View, leaf: Leaf) -> str:
    """A JSON string, because a column of mixed types breaks every table reader."""
    return compact(
        {
            "run_id": view.record.run_id,
            "instance_id": view.instance,
            "node": leaf.node.id if leaf.node is not None else None,
            "model": view.call(leaf.tip).model,
            "reward": leaf.reward,
            "resolved": leaf.label.resolved,
            "verified": leaf.label.verified,
        }
    )


def _untrainable(view: View, leaf: Leaf, options: ExportOptions) -> str | None:
    for message in leaf.path:
        if message.role == "assistant" and not message.sampled:
            return "unsampled_assistant"
        if message.sampled and (reason := _unsound(view, message, options)) is not None:
            return reason
        if view.text(message) is None:
            return _shapeless(message)
    return None


def _unsound(view: View, message: Message, options: ExportOptions) -> str | None:
    if view.offline(message) and not options.include_offline:
        return "offline"
    if message.error is not None:
        return "errored_call"
    return _shapeless(message) if view.text(message) is None else None


def _masked(view: View, message: Message, options: ExportOptions) -> bool:
    unsound = message.error is not None or repaired_calls([message]) > 0
    return unsound or (view.offline(message) and not options.include_offline)


def _shapeless(message: Message) -> str:
    return "not_text" if not isinstance(message.content, str) else "malformed_arguments"
