"""Choosing the patch to submit among candidates whose tests disagree, and saying how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .agreement import Agreement, agree
from .node import Candidate, VerifierScore


@dataclass(frozen=True, slots=True)
class Selection:
    """`ranking` holds every candidate, the chosen one first; empty when there is none."""

    ranking: tuple[Candidate, ...]
    confidence: float | None
    """In [0, 1]; None when nothing was measured."""
    verified: bool
    """Every kept test passes and no regression was found by a run that looked."""
    abstained: bool
    """The patch is kept, but nothing is claimed for it."""
    reasons: tuple[str, ...]

    @property
    def chosen(self) -> Candidate | None:
        return self.ranking[0] if self.ranking else None


def select(
    candidates: Sequence[Candidate],
    *,
    threshold: float = 0.5,
    assumed_sd: float = 0.1,
    trusted: float = 0.75,
) -> Selection:
    """Rank candidates: sound ones, fewest regressions, dual agreement, tests, a trained verifier, the Critic, votes.

    `threshold`: confidence below which the result abstains. `assumed_sd`: spread of a Critic's score
    taken once. The result does not depend on the order of `candidates` (their `order` breaks ties).
    """
    pool = sorted(candidates, key=lambda candidate: candidate.order)
    sound = [candidate for candidate in pool if candidate.evaluation.sound]
    kept = _fewest_regressions(sound)
    finalists = _finalists(kept)
    groups = _groups(finalists)
    ranking: list[Candidate] = []
    for group in groups:
        members = [candidate for candidate in finalists if candidate.node in group.patches]
        ranking += sorted(members, key=_rank)
    ranking += sorted((c for c in kept if c not in finalists), key=_rank)
    ranking += sorted((c for c in sound if c not in kept), key=_rank)
    if not ranking:
        why = "no candidate changes anything" if not pool else "no candidate applies and parses"
        return Selection((), None, False, True, (why,))
    return _judge(tuple(ranking), kept, groups, threshold, assumed_sd, trusted)


def _broken(candidate: Candidate) -> float:
    broken = candidate.evaluation.broken
    return math.inf if broken is None else len(broken)


def _fewest_regressions(candidates: list[Candidate]) -> list[Candidate]:
    """Those with the minimum number of regressions; unmeasured ones stay only where nobody was measured."""
    if not candidates:
        return []
    least = min(_broken(candidate) for candidate in candidates)
    return [candidate for candidate in candidates if _broken(candidate) == least]


def _groups(candidates: list[Candidate]) -> list[Agreement]:
    matrix = {candidate.node: candidate.evaluation.reproduction for candidate in candidates}
    priors = {test: weight for c in candidates for test, weight in c.evaluation.weights.items()}
    votes = {candidate.node: len(candidate.votes) for candidate in candidates}
    merged: list[Agreement] = []
    for group in agree(matrix, priors, votes):
        if merged and math.isclose(merged[-1].score, group.score, rel_tol=1e-9, abs_tol=1e-12):
            last = merged.pop()
            group = Agreement(last.patches + group.patches, last.passed | group.passed, last.score)
        merged.append(group)
    return merged


def _critic(candidate: Candidate) -> float:
    critic = candidate.evaluation.critic
    return -math.inf if critic is None else critic.mean


def _finalists(members: list[Candidate]) -> list[Candidate]:
    """The top max(3, n/2) by Critic, as in R2E-Gym's hybrid verifier; all of them where the Critic did not
    see every one. Done before the tests are weighed, so that lucky passes of a wrong test count less."""
    if not all(candidate.evaluation.critic for candidate in members):
        return members
    count = max(3, math.ceil(len(members) / 2))
    return sorted(members, key=lambda candidate: (-_critic(candidate), *_order(candidate)))[:count]


def _rank(candidate: Candidate) -> tuple[float, ...]:
    passed = candidate.evaluation.passed_fraction
    likelihood = candidate.evaluation.likelihood
    return (
        _broken(candidate),
        -(passed or 0.0),
        -(0.5 if likelihood is None else likelihood),  # who abstains is undecided
        -_critic(candidate),
        *_order(candidate),
    )


def _order(candidate: Candidate) -> tuple[float, ...]:
    """Ties: independent votes, all votes, the smaller diff, the earliest."""
    return (-len(candidate.voters), -len(candidate.votes), candidate.size, candidate.order)


def _judge(
    ranking: tuple[Candidate, ...],
    kept: list[Candidate],
    groups: list[Agreement],
    threshold: float,
    assumed_sd: float,
    trusted: float,
) -> Selection:
    chosen = ranking[0]
    seen = chosen.evaluation
    reasons: list[str] = []
    if seen.reproduction:
        good = sum(seen.reproduction.values())
        reasons.append(f"passes {good} of {len(seen.reproduction)} reproduction tests")
    else:
        reasons.append("no reproduction test was kept")
    if seen.broken is None:
        reasons.append("the regression tests were not run")
    elif seen.broken:
        reasons.append(f"breaks {len(seen.broken)} tests that passed before: {', '.join(seen.broken[:3])}")
    else:
        of = f" of those that were run: {seen.heard}" if seen.heard else ""
        reasons.append(f"breaks no test that passed before{of}")
    if len(chosen.votes) > 1:
        votes, roots = len(chosen.votes), len(chosen.voters)
        reasons.append(f"{votes} rollouts made the same change, from {roots} independent root(s)")
    if seen.critic:
        spread = "" if seen.critic.sd is None else f" ± {seen.critic.sd:.2f}"
        reasons.append(f"Critic {seen.critic.mean:.2f}{spread} (k = {seen.critic.k})")
    if seen.verifier:
        reasons.append(_opinion(seen.verifier))
    if len(groups) > 1:
        reasons.append(
            f"the candidates disagree on reproduction tests: {len(groups)} groups, "
            f"this one's agreement {groups[0].score:.2f} against {groups[1].score:.2f}"
        )
    if len(ranking) > 1:
        reasons.append(_rejected(ranking[1], kept))
    confidence = _confidence(chosen, groups, assumed_sd)
    convincing = confidence is not None and confidence >= threshold
    abstained = not (convincing and _supported(chosen, groups, trusted))
    if abstained:
        reasons.append("not claimed to be right: " + _shortfall(chosen, confidence, threshold))
    return Selection(ranking, confidence, seen.green, abstained, tuple(reasons))


def _supported(candidate: Candidate, groups: list[Agreement], trusted: float) -> bool:
    """Executed tests speak for it, or, where none could, independent votes or a high Critic's score do.

    A generated test may be wrong: one that the chosen patch fails does not count against it when most of
    the generated tests pass and the agreement of patches and tests clearly outvotes it.
    """
    seen = candidate.evaluation
    if seen.broken != () or not seen.sound:
        return False
    if seen.reproduction:
        outvoted = len(groups) > 1 and groups[0].score >= 2 * groups[1].score
        return seen.green or (all(seen.given.values()) and (seen.passed_fraction or 0.0) > 0.5 and outvoted)
    return len(candidate.voters) > 1 or max(_critic(candidate), seen.likelihood or 0.0) >= trusted


def _opinion(said: VerifierScore) -> str:
    if said.probability is None:
        return f"the verifier {said.verifier} has no opinion: {said.why}"
    spread = "" if said.sd is None else f" ± {said.sd:.2f}"
    return f"the verifier {said.verifier} gives it {said.probability:.2f}{spread}"


def _shortfall(candidate: Candidate, confidence: float | None, threshold: float) -> str:
    seen = candidate.evaluation
    if seen.broken:
        return "it breaks tests that passed before"
    if not all(seen.given.values()):
        return "it fails tests that show the issue"
    if not all(seen.reproduction.values()) and (confidence or 0.0) >= threshold:
        return "it fails generated tests, and nothing outvotes them"
    if confidence is None:
        return "nothing about it was measured"
    if seen.broken is None:
        return "the regression tests were not run"
    if not seen.reproduction:
        return "no test shows that the issue is gone"
    return f"confidence {confidence:.2f} is below {threshold:.2f}"


def _rejected(other: Candidate, kept: list[Candidate]) -> str:
    seen = other.evaluation
    if other not in kept:
        why = f"it breaks {len(seen.broken)} tests" if seen.broken else "its regression tests were not run"
    elif seen.passed_fraction is not None:
        why = f"it passes {sum(seen.reproduction.values())} of {len(seen.reproduction)} reproduction tests"
    else:
        why = "it ranks lower by Critic, votes or size"
    return f"best rejected alternative {other.node}: {why}"


def _confidence(chosen: Candidate, groups: list[Agreement], assumed_sd: float) -> float | None:
    """How far the evidence carries, in [0, 1]: a stated rule, not a calibrated probability.

    Tests carry 0.6 (0.4 the reproduction tests, 0.2 a clean regression
    run, half of it by the share of the test files in reach that were run), independent votes 0.2 (0 for
    one root, 0.1 for two, 0.2 from three), the lower bound of a trained verifier, or else of the Critic, 0.2; what was
    not measured carries nothing. A close call between groups of tests takes off up to 0.15; a regression caps it at 0.1.
    """
    seen = chosen.evaluation
    passed = seen.passed_fraction
    if passed is None and seen.broken is None and seen.critic is None and seen.likelihood is None:
        return None
    tests = 0.4 * (passed or 0.0) + (0.1 + 0.1 * seen.share if seen.broken == () else 0.0)
    votes = 0.1 * min(2, len(chosen.voters) - 1)
    lower = seen.critic.lower(assumed_sd) if seen.critic else 0.0
    if seen.verifier is not None and seen.likelihood is not None:
        lower = seen.verifier.lower
    opinion = 0.2 * min(1.0, max(0.0, lower))
    doubt = 0.15 * groups[1].score / groups[0].score if len(groups) > 1 and groups[0].score else 0.0
    total = max(0.0, tests + votes + opinion - doubt)
    return round(min(total, 0.1) if seen.broken else total, 4)
