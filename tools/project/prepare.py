"""prepare_project: a repository nobody prepared, made ready to run its tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..errors import ProjectError
from ..sandbox import DEFAULT_ROOT, Sandbox
from .build import Plan
from .environment import Environment, cached_environment
from .installer import Installer, find_uv
from .interpreters import Interpreter, choose, probe
from .manifest import Manifest
from .requirements import Requirements, find_requirements
from .resolve import import_paths
from .runners import find_test_command
from .spec import Inference, Project, TestCommand


def prepare_project(
    repository: Path,
    *,
    cache: Path,
    root: PurePosixPath = DEFAULT_ROOT,
    python: str | None = None,
    setup: str | None = None,
    test_cmd: str | None = None,
    sandbox_kind: str = "auto",
    on_line: Callable[[str], None] | None = None,
    exclude_newer: str | None = None,
    left_s: Callable[[], float | None] = lambda: None,
) -> Project:
    """Find out the interpreter, the dependencies and the test command of the checkout at `repository` and
    build (or find in `cache`) its environment.

    `root` is where the sandbox will show the repository; `python` a version, a range or a path; `setup` a
    shell command that replaces the automatic installation; `test_cmd` the test command; `exclude_newer` a
    date (RFC 3339 or YYYY-MM-DD) after which releases do not count. `on_line` gets one line for
    each step. Everything is installed in a
    sandbox that reaches the package index alone. A cache hit touches no network.

    Raises: ProjectError naming the flag that helps; BudgetExceeded when the `left_s` seconds are used up.
    """
    say = on_line or (lambda line: None)
    repository = repository.resolve()
    cache = cache.resolve()
    manifest = Manifest(repository)
    command, inferences = find_test_command(manifest, test_cmd)
    if not is_python(manifest, command):
        return _other_language(manifest, command, inferences, cache, root, setup, sandbox_kind, say, left_s)
    interpreter, said = choose(manifest, python)
    requirements = Requirements() if setup is not None else find_requirements(manifest, runner=command.runner)
    if setup is not None:
        said = [*said, Inference("setup", setup, "--setup replaces the automatic installation", "--setup")]
    inferences = [*said, *requirements.inferences, *inferences]
    uv = find_uv()

    def installer_of(target: Path) -> Installer:
        return Installer(interpreter, target, cache=cache, uv=uv)

    plan = Plan(
        repository=repository,
        manifest=manifest,
        requirements=requirements,
        installer_of=installer_of,
        interpreter=f"{interpreter.version} {interpreter.path}",
        root=root,
        sandbox_kind=sandbox_kind,
        setup=setup,
        exclude_newer=exclude_newer,
        on_line=say,
        needs_pytest=command.runner == "pytest",
        left_s=left_s,
    )
    only_pytest = setup is None and not requirements.install_repository and not requirements.files
    only_pytest = only_pytest and set(requirements.names) <= {"pytest"}
    try:
        environment = cached_environment(plan, cache)
    except ProjectError as error:
        own = _own_environment(command) if only_pytest else None
        if own is None:
            raise
        say(f"{error}; using the environment that this program runs in")
        note = Inference(
            "python", own[0], "no environment could be built and nothing but pytest is needed", "--python"
        )
        return _own_project(command, [*inferences, note], own, root, import_paths(manifest))
    return _project(command, inferences, environment, interpreter, manifest, root)


def unpack_artefacts(sandbox: Sandbox, project: Project) -> None:
    """Put the files that the installation left in the tree (generated versions, compiled extensions) into
    a fresh workspace, once, before it is forked; git is told to ignore them.

    Raises: ProjectError when they cannot be written.
    """
    if project.artefacts is None:
        return
    script = (
        "mkdir -p .git/info && tar -xvf - > .git/swe-agent-made && "
        "sed 's|^|/|' .git/swe-agent-made >> .git/info/exclude; "
        "status=$?; rm -f .git/swe-agent-made; exit $status"
    )
    done = sandbox.exec(script, stdin=project.artefacts.read_bytes(), timeout=300)
    if done.exit_code != 0:
        raise ProjectError(
            f"the files that the installation made cannot be unpacked: {done.output.strip()[-300:]}"
        )


def is_python(manifest: Manifest, command: TestCommand) -> bool:
    if command.runner != "custom":
        return True
    metadata = any(manifest.has(name) for name in ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini"))
    return metadata or bool(manifest.python_files)


def _project(
    command: TestCommand,
    inferences: list[Inference],
    environment: Environment,
    interpreter: Interpreter,
    manifest: Manifest,
    root: PurePosixPath,
) -> Project:
    paths = import_paths(manifest)
    env = _activation(environment.python)
    if not environment.installed:
        env["PYTHONPATH"] = ":".join(str(root / path) if path != "." else str(root) for path in paths)
    return Project(
        test_command=command,
        python=environment.python,
        read_only=(environment.folder, *interpreter.outside_usr),
        env=env,
        inferences=(*inferences, *environment.notes),
        setup_log=environment.log,
        root=environment.root if environment.installed else root,
        import_paths=paths,
        artefacts=environment.artefacts,
    )


def _activation(python: Path) -> dict[str, str]:
    from ..sandbox.environment import SYSTEM_PATH

    return {
        "PATH": f"{python.parent}:{SYSTEM_PATH}",
        "VIRTUAL_ENV": str(python.parent.parent),
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _own_environment(command: TestCommand) -> tuple[str, tuple[Path, ...]] | None:
    """The interpreter this program runs with, when it has what the tests need."""
    if command.runner == "pytest" and importlib.util.find_spec("pytest") is None:
        return None
    found = probe(Path(sys.executable))
    if found is None:
        return None
    return sys.executable, tuple(dict.fromkeys((Path(sys.prefix), *found.outside_usr)))


def _own_project(
    command: TestCommand,
    inferences: list[Inference],
    own: tuple[str, tuple[Path, ...]],
    root: PurePosixPath,
    paths: tuple[str, ...],
) -> Project:
    python = Path(own[0])
    env = _activation(python)
    env["PYTHONPATH"] = ":".join(str(root / path) if path != "." else str(root) for path in paths)
    prefixes = tuple(p for p in own[1] if not p.is_relative_to("/usr"))
    return Project(command, python, prefixes, env, tuple(inferences), root=root, import_paths=paths)


def _other_language(
    manifest: Manifest,
    command: TestCommand,
    inferences: list[Inference],
    cache: Path,
    root: PurePosixPath,
    setup: str | None,
    sandbox_kind: str,
    say: Callable[[str], None],
    left_s: Callable[[], float | None],
) -> Project:
    """No Python: --setup runs in the sandbox and what it leaves in the tree is kept."""
    if setup is None:
        return Project(command, inferences=tuple(inferences), root=root)
    interpreter, _ = choose(manifest, None)
    plan = Plan(
        repository=manifest.repository,
        manifest=manifest,
        requirements=Requirements(),
        installer_of=lambda target: Installer(interpreter, target, cache=cache, uv=find_uv()),
        interpreter=f"{interpreter.version} {interpreter.path}",
        root=root,
        sandbox_kind=sandbox_kind,
        setup=setup,
        exclude_newer=None,
        on_line=say,
        needs_pytest=False,
        left_s=left_s,
    )
    environment = cached_environment(plan, cache)
    said = Inference("setup", setup, "--setup", "--setup")
    return Project(
        command,
        read_only=(environment.folder,),
        inferences=(*inferences, said),
        setup_log=environment.log,
        root=environment.root,
        artefacts=environment.artefacts,
    )
