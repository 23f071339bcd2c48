"""acecoder, cure: what programs and generated tests teach about each other."""

from __future__ import annotations

from collections.abc import Iterator

from ..rewards.acecoder import acecoder_pairs
from ..rewards.cure import rewards_of_tests, z_scores
from .matrix import matrix
from .options import ExportOptions, Tally
from .rows import Row
from .view import View

_PATCH = "Write a patch that resolves this issue, as a unified diff.\n\n<issue>\n{issue}\n</issue>"
_TEST = (
    "Write a test file for this issue: it fails while the issue is open and passes once it is resolved.\n\n"
    "<issue>\n{issue}\n</issue>"
)


def acecoder(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """Pairs of patches by the share of the tests that they pass, of those that some accepted patch passes."""
    found = matrix(view, include_offline=options.include_offline)
    accepted = [node for node in found.passes if view.label(node).of(options.only)]
    pairs = acecoder_pairs(found.passes, accepted)
    if not pairs:
        tally.drop("no_pair" if accepted else "none_accepted")
    for pair in pairs:
        chosen, rejected = found.patches[pair.chosen].text, found.patches[pair.rejected].text
        if options.max_tokens is not None and (len(chosen) + len(rejected)) // 4 > options.max_tokens:
            tally.drop("max_tokens")
            continue
        yield Row(
            {
                "prompt": _said("user", _PATCH.format(issue=view.record.task.problem_statement)),
                "chosen": _said("assistant", chosen),
                "rejected": _said("assistant", rejected),
                "chosen_rate": round(pair.chosen_rate, 6),
                "rejected_rate": round(pair.rejected_rate, 6),
                "margin": round(pair.chosen_rate - pair.rejected_rate, 6),
            },
            view.instance,
        )


def cure(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One row per test file that the run wrote, with the reward of its tests: what they say of patches that are known
    to be right or wrong by the tests that nobody here wrote."""
    found = matrix(view, include_offline=options.include_offline)
    files = {path: tests for path in sorted(found.written) if (tests := found.generated(path))}
    rewards = rewards_of_tests(
        found.passes, found.trusted, [test for tests in files.values() for test in tests]
    )
    if not rewards:
        tally.drop("nothing_decides" if files else "no_generated_test")
        return
    means = {path: sum(rewards[test] for test in tests) / len(tests) for path, tests in files.items()}
    advantages = z_scores(means)
    for path, tests in files.items():
        if options.min_reward is not None and means[path] < options.min_reward:
            tally.drop("min_reward")
            continue
        advantage = advantages.get(path)
        yield Row(
            {
                "prompt": _said("user", _TEST.format(issue=view.record.task.problem_statement)),
                "completion": _said("assistant", found.written[path]),
                "path": path,
                "tests": tests,
                "reward": round(means[path], 6),
                "advantage": None if advantage is None else round(advantage, 6),
            },
            view.instance,
        )


def _said(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]
