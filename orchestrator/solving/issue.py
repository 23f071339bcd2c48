"""Issue: what is asked, as a value. Nothing here says how the issue was really solved."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment under an issue."""

    author: str
    body: str
    created_at: str | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue and where it is to be solved."""

    id: str
    """`owner/repo#N`, a benchmark's instance id, or a slug of the title."""
    title: str
    body: str
    comments: tuple[Comment, ...] = ()
    labels: tuple[str, ...] = ()
    url: str | None = None
    repository: str | None = None
    """Clone URL or local path."""
    base_commit: str | None = None
    """Commit to solve it on; None: the head of the default branch."""
    hints: str = ""
    images: tuple[str, ...] = field(default=())
    """URLs of images in the issue."""
    source: str = "text"
    """text | file | github | gitlab | dataset."""
    benchmark: str | None = None
    """Name of the benchmark and split that the instance belongs to (`swe-bench-verified/test`)."""
    state: str | None = None
    """open | closed on its forge; None: unknown."""
    locked: bool = False
    assignees: tuple[str, ...] = ()
    fixed_by: str | None = None
    """URL of the merged pull request, or id of the commit, that closed it already."""

    @property
    def text(self) -> str:
        """Title and body."""
        return f"{self.title}\n\n{self.body}".strip()

    @property
    def discussion(self) -> str:
        """The comments, oldest first."""
        return "\n\n".join(f"{comment.author}:\n{comment.body.strip()}" for comment in self.comments)

    @classmethod
    def from_text(cls, text: str, *, source: str = "text", repository: str | None = None) -> Issue:
        """An issue from free text: the first non-empty line is the title (a Markdown heading's marks are
        dropped), the rest the body."""
        lines = text.strip().splitlines()
        title = lines[0].lstrip("# ").strip() if lines else ""
        words = "".join(char if char.isalnum() else " " for char in title.lower()).split()
        slug = "-".join(words)[:48].strip("-") or "issue"
        return cls(slug, title, "\n".join(lines[1:]).strip(), source=source, repository=repository)
