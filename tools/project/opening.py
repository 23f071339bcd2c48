"""open_workspace: the one way from a prepared repository to a workspace, for solve, batch and the gym."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..sandbox import DEFAULT_ROOT, Limits, Sandbox, SandboxSpec, open_sandbox
from ..workspace import Workspace
from .image import image_project
from .prepare import prepare_project, unpack_artefacts
from .spec import Project, TestCommand


@dataclass(frozen=True, slots=True)
class Opening:
    """What a workspace is opened over. `repository` is a copy that `prepare_repository` made."""

    repository: Path
    base: str
    """Its base commit (hex)."""
    scratch: Path
    """Folder of the run for the sandbox's layers."""
    cache: Path
    """Folder of built environments."""
    sandbox: str = "auto"
    image: str | None = None
    project: Project | None = None
    """How the tests are run, when that is known; None: it is found out and its environment is built."""
    python: str | None = None
    setup: str | None = None
    test_cmd: str | None = None
    network: bool = False
    read_only: tuple[Path, ...] = ()
    """Further host paths to be shown."""
    limits: Limits = field(default_factory=Limits)
    label: str = ""
    left_s: Callable[[], float | None] = lambda: None
    """Seconds that set-up may still take (None: as long as it needs)."""

    @property
    def in_container(self) -> bool:
        """Whether the environment is a container image's."""
        return self.sandbox == "docker" or self.image is not None

    def sandbox_spec(self, project: Project) -> SandboxSpec:
        """The walls."""
        return SandboxSpec(
            source=self.repository,
            scratch=self.scratch,
            read_only=(*project.read_only, *self.read_only),
            env=dict(project.env),
            network=self.network,
            limits=self.limits,
            image=self.image,
            label=self.label,
        )


def open_workspace(
    opening: Opening, on_line: Callable[[str], None] = lambda line: None
) -> tuple[Workspace, Project]:
    """Set up (or find) the environment, open the sandbox, put in what the installation made; blocking.

    Whatever the sandbox is, the repository inside has the history of `opening.repository`: a container image's
    own `.git` is replaced. Raises: ProjectError, SandboxError, BudgetExceeded; nothing is left open then.
    """
    project, sandbox = opening.project, None
    if project is None and opening.in_container:
        on_line("sandbox")
        sandbox = open_sandbox(opening.sandbox, opening.sandbox_spec(Project(TestCommand(""))))
        try:
            project = image_project(
                opening.repository, sandbox, setup=opening.setup, test_cmd=opening.test_cmd
            )
        except BaseException:
            sandbox.close()
            raise
    if project is None:
        on_line("environment")
        project = prepare_project(
            opening.repository,
            cache=opening.cache,
            root=DEFAULT_ROOT,
            python=opening.python,
            setup=opening.setup,
            test_cmd=opening.test_cmd,
            sandbox_kind=opening.sandbox,
            on_line=on_line,
            left_s=opening.left_s,
        )
    if sandbox is None:
        on_line("sandbox")
        sandbox = open_sandbox(opening.sandbox, opening.sandbox_spec(project))
    return _workspace(opening, sandbox, project), project


def _workspace(opening: Opening, sandbox: Sandbox, project: Project) -> Workspace:
    try:
        unpack_artefacts(sandbox, project)
        workspace = Workspace(sandbox, opening.base, env=project.shell_environment(sandbox.root))
        workspace.refresh_index()
    except BaseException:
        sandbox.close()
        raise
    return workspace
