"""Every error the product raises on purpose: one flat family, named by boundary.

A command that fails is data (an exit code); an error here means that a boundary itself failed.
`orchestrator/cli/main.py` maps each class to its exit code, and nowhere else does.
The message is one line that says what is wrong and what to do; it is shown to people as it stands.
"""

from __future__ import annotations


class SweAgentError(Exception):
    """Base of the family."""


class UsageError(SweAgentError):
    """A flag, a configuration value or an argument is wrong (exit 2)."""


class IssueError(SweAgentError):
    """The issue cannot be read or is not an issue (exit 8)."""


class ForgeError(SweAgentError):
    """A forge refused, is unreachable or is rate-limited (exit 8)."""


class RepositoryError(SweAgentError):
    """The repository is missing, not a git repository, or lacks the commit (exit 2)."""


class ProjectError(SweAgentError):
    """The environment or the test command of the repository could not be set up (exit 7)."""


class SandboxError(SweAgentError):
    """A sandbox could not start, or failed itself; never: a command in it failed (exit 7)."""


class PatchError(SweAgentError):
    """A patch does not apply or is malformed."""


class ToolError(SweAgentError):
    """A tool cannot do what the model asked; the message goes back to the model as text."""


class ModelError(SweAgentError):
    """A model endpoint failed for good, after bounded retries (exit 6)."""

    attempts: int = 0
    """How many requests were made."""


class CredentialsError(ModelError):
    """Key missing or refused, unknown model, or a missing provider package (exit 6)."""


class ContextOverflowError(ModelError):
    """The prompt is longer than the model's context window; the role compacts and goes on."""


class VerifierError(SweAgentError):
    """A trained verifier could not be asked; says nothing about the patch."""


class BudgetExceeded(SweAgentError):
    """A limit was reached; the best patch so far is kept (exit 5)."""


class RecordError(SweAgentError):
    """A record or an event log breaks an invariant; the message names it."""


class ExportError(SweAgentError):
    """An export was refused or a directory does not verify (exit 2)."""
