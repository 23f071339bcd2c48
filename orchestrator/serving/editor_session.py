"""EditorSession: one conversation of an editor about one checkout, kept on disk so that it outlives the server.

Every prompt is a run. A follow-up works on top of what the runs before it made: in a clone of the session's own that
holds each verified or chosen patch as a commit. The checkout itself is touched only by `apply`, after consent.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from platformdirs import user_state_path

from ...tools.errors import UsageError
from ..solving.delivery import apply_patch, working_tree

_ID = re.compile(r"[0-9a-f]{32}")


def sessions_root() -> Path:
    """$XDG_STATE_HOME/swe-agent/sessions"""
    return user_state_path("swe-agent") / "sessions"


@dataclass(slots=True)
class Turn:
    """One prompt and the run that answered it."""

    prompt: str
    run: str
    finished: bool = False
    applied: bool = False
    patched: bool = False
    """Whether its patch is a commit of the session's clone."""
    said: str = ""
    """What the user was told at the end."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after a turn; None: it is not there."""

    path: str
    old: str | None
    new: str | None


@dataclass(slots=True)
class EditorSession:
    """`id`, the checkout, the mode (fix | review) and its turns."""

    id: str
    cwd: str
    mode: str = "fix"
    turns: list[Turn] = field(default_factory=list[Turn])

    @classmethod
    def new(cls, cwd: str) -> EditorSession:
        """Raises: RepositoryError when `cwd` is in no git repository."""
        session = cls(secrets.token_hex(16), str(working_tree(Path(cwd))))
        session.save()
        return session

    @classmethod
    def load(cls, id: str) -> EditorSession:
        """Raises: UsageError when there is no such session."""
        try:
            if not _ID.fullmatch(id):
                raise FileNotFoundError(id)
            data = json.loads((sessions_root() / id / "session.json").read_text(encoding="utf-8"))
            turns = [Turn(**turn) for turn in data.pop("turns")]
            return cls(**data, turns=turns)
        except (FileNotFoundError, ValueError, TypeError) as error:
            raise UsageError(f"there is no session {id!r}") from error

    @classmethod
    def all(cls) -> list[EditorSession]:
        """The newest first."""
        files = sorted(sessions_root().glob("*/session.json"), key=lambda path: -path.stat().st_mtime)
        return [cls.load(path.parent.name) for path in files]

    @property
    def folder(self) -> Path:
        return sessions_root() / self.id

    @property
    def clone(self) -> Path:
        return self.folder / "repository"

    @property
    def title(self) -> str:
        return " ".join(self.turns[0].prompt.split())[:80] if self.turns else "A new session"

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / ".session.json"
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(self.folder / "session.json")

    def begin(self, prompt: str) -> Turn:
        turn = Turn(prompt, str(self.folder / f"run-{len(self.turns) + 1}"))
        self.turns.append(turn)
        self.save()
        return turn

    def interrupted(self) -> Turn | None:
        """The last turn, if its run can be gone on with."""
        last = self.turns[-1] if self.turns else None
        return last if last and not last.finished and (Path(last.run) / "events.jsonl").exists() else None

    def issue(self, prompt: str) -> str:
        """The text to work on: a follow-up with what was asked before it."""
        before = [turn.prompt for turn in self.turns[:-1] if turn.patched]
        if not before:
            return prompt
        asked = "\n\n".join(before)
        return f"{prompt}\n\nThis was asked before, and a change for it is already in the code:\n\n{asked}\n"

    def source(self) -> tuple[Path, str | None]:
        """Repository and revision that the next run works on."""
        return (self.clone, "HEAD") if any(turn.patched for turn in self.turns) else (Path(self.cwd), None)

    def commit(self, turn: Turn, base: str) -> list[FileChange]:
        """Put the turn's patch on top of the session's clone; what it changed. Blocking."""
        from git import Repo

        if self.clone.exists():
            repo = Repo(self.clone)
        else:
            repo = Repo.clone_from(self.cwd, self.clone, multi_options=["--no-checkout", "--quiet"])
            repo.git.checkout("--quiet", "--detach", base)
        repo.git.apply("--index", "--whitespace=nowarn", str(Path(turn.run) / "patch.diff"))
        identity = ("-c", "user.name=swe-agent", "-c", "user.email=swe-agent@localhost")
        repo.git.execute(["git", *identity, "commit", "--quiet", "--no-verify", "-m", self.title])
        turn.patched = True
        self.save()
        head = repo.head.commit
        return [
            FileChange(diff.b_path or diff.a_path or "", _text(diff.a_blob), _text(diff.b_blob))
            for diff in head.parents[0].diff(head)
        ]

    def pending(self) -> list[Turn]:
        """Turns whose patches the checkout does not have yet, oldest first."""
        return [turn for turn in self.turns if turn.patched and not turn.applied]

    def apply(self) -> None:
        """Apply every pending patch to the checkout. Raises: PatchError; what was applied before it stays."""
        for turn in self.pending():
            apply_patch(Path(turn.run), Path(self.cwd))
            turn.applied = True
            self.save()


def _text(blob: object) -> str | None:
    """A blob's text; bytes that are not UTF-8 are replaced."""
    if blob is None:
        return None
    data: bytes = blob.data_stream.read()  # type: ignore[attr-defined]
    return data.decode("utf-8", "replace")
