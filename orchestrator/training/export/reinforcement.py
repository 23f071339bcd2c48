"""grpo, rollouts: tasks to roll out on, and rollouts to replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ....agents.models.prompt_digest import prompt_sha256
from ...record.graph import wire
from ...record.schema import Message, Task
from .advantages import Advantages
from .options import ExportOptions, Tally
from .rows import Row, compact, joined
from .segments import segments
from .view import Leaf, View, repaired_calls


def grpo(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One row per task: the prompt that `solve` sent its first writer, that writer's tools, and all that the
    environment's `reset(**row)` needs. Repeated runs of an instance are one task (the writer drops the
    repeats)."""
    task = view.record.task
    first = next((leaf for leaf in view.leaves if leaf.writer and leaf.path[0].sampled is False), None)
    texts = [view.text(message) for message in first.path[: first.first]] if first is not None else []
    said = [text for text in texts if text is not None]
    ask = compact({"role": "user", "content": task.problem_statement})
    yield Row(
        {
            "prompt": joined(said if texts and len(said) == len(texts) else [ask]),
            **task_fields(task),
        },
        view.instance,
    )


def task_fields(task: Task) -> dict[str, Any]:
    """What the environment's reset needs of a task."""
    return {
        "instance_id": task.instance_id,
        "repository": task.repository or "",
        "base_commit": task.base_commit or "",
        "problem_statement": task.problem_statement,
        "fail_to_pass": task.fail_to_pass or [],
        "test_patch": "",
        "test_files": compact(task.test_files),
        "test_cmd": task.test_cmd or "",
        "setup": task.setup or "",
        "python": task.python or "",
        # TRL takes a column `image` for pictures of the prompt.
        "docker_image": task.image or "",
    }


def not_replayed(leaf: Leaf, options: ExportOptions) -> str | None:
    """Why a rollout is left out, or None. One without a reward is: counting it as 0 would shift every advantage of
    its group."""
    if leaf.failed:
        return "infrastructure"
    if leaf.reward is None:
        return "no_reward"
    if leaf.offline and not options.include_offline:
        return "offline"
    if options.only in ("resolved", "verified") and not leaf.label.of(options.only):
        return f"not_{options.only}"
    return "min_reward" if options.min_reward is not None and leaf.reward < options.min_reward else None


def group_of(view: View, above: Iterable[Message]) -> str:
    """Rollouts of one instance whose first prompt is the same are a group."""
    return f"{view.instance}/{prompt_sha256(wire(message) for message in above)[:16]}"


def rollouts(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Token-exact rollouts of the writers with their measured reward; members of a group share the prompt."""
    advantages = Advantages(view)
    for leaf in view.leaves:
        if not leaf.writer:
            continue
        why = not_replayed(leaf, options)
        if why is not None:
            tally.drop(why)
        elif (parts := segments(leaf.path)) is None:
            tally.drop("no_token_ids")
        else:
            for part in parts:
                above = [view.context(message) for message in part.above]
                ids, mask = part.ids, part.mask
                start = mask.index(1)
                if None in above:
                    tally.drop("not_text")
                elif options.max_tokens is not None and len(ids) > options.max_tokens:
                    tally.drop("max_tokens")
                else:
                    fields: dict[str, Any] = {
                        "group_id": group_of(view, part.above),
                        "prompt": joined(text for text in above if text is not None),
                        "prompt_ids": ids[:start],
                        "completion_ids": ids[start:],
                        "env_mask": mask[start:],
                        "logprobs": part.logprobs[start:] if part.logprobs is not None else None,
                        "reward": leaf.reward,
                        "advantage": _rounded(advantages.path(leaf)),
                        "step_advantages": [
                            _rounded(advantages.step(message))
                            for message, _, _ in part.spans
                            if message is not None
                        ],
                        "repaired_calls": repaired_calls(part.above),
                    }
                    fields |= {f"reward/{name}": value for name, value in leaf.components.items()}
                    yield Row(fields, view.instance)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
