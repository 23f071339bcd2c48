"""Instance: one task of a benchmark. What the solver may see is plain; the rest is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..solving.issue import Issue
from .sealed import SealedGold

Judge = Literal["tests", "smith", "pro", "command", "harbor"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of a SWE-bench-like dataset."""

    id: str
    repo: str
    """`owner/name`."""
    base_commit: str
    """Empty where the image alone holds the repository (SWE-smith)."""
    problem_statement: str
    evaluation: SealedGold = field(compare=False, repr=False)
    hints: str = ""
    created_at: str | None = None
    version: str | None = None
    environment_commit: str | None = None
    """Commit whose requirement files describe the environment."""
    image: str | None = None
    """Container image with the repository at /testbed."""
    language: str = "python"
    benchmark: str = "swe-bench"
    images: tuple[str, ...] = ()
    """URLs of images in the problem statement (multimodal)."""
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)
    """Environment recipe that the row itself carries (SWE-rebench `install_config`)."""
    judge: Judge = "tests"
    """How a prediction is judged: the tests of a SWE-bench row, a command, or a benchmark's own rules."""

    def issue(self, *, hints: bool = False, repository: str | None = None) -> Issue:
        """The task as the solver sees it. `hints` (comments made before the fix) are left out unless
        asked for, as the benchmark's rules want them declared."""
        title, _, body = self.problem_statement.strip().partition("\n")
        return Issue(
            id=self.id,
            title=title.strip(),
            body=body.strip(),
            repository=repository or f"https://github.com/{self.repo}",
            base_commit=self.base_commit or None,
            hints=self.hints if hints else "",
            images=self.images,
            source="dataset",
            benchmark=self.benchmark,
        )

    def without_gold(self) -> Instance:
        """The same instance with its evaluation data poisoned, for anything that solves."""
        return replace(self, evaluation=SealedGold.poisoned(self.id))
