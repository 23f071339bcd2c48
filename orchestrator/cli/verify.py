"""`swe-agent verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from ..settings import Flag, Group
from ..settings.groups import SandboxSettings, VerificationSettings
from .help import CommandApp
from .options import settings_command


class ChangeSettings(Group):
    title: ClassVar[str] = "Patch (one of; default: the uncommitted changes)"

    patch: Annotated[
        str | None, Flag("File with a unified diff; - is stdin.", short="-p", once=True, metavar="FILE")
    ] = None
    staged: Annotated[bool, Flag("The staged changes of the checkout.", once=True)] = False
    pr: Annotated[str | None, Flag("A pull request: its changes on its base.", once=True, metavar="URL")] = (
        None
    )
    repo: Annotated[
        Path, Flag("Checkout; it is read, never written.", short="-r", once=True, shown="this folder")
    ] = Path()
    base: Annotated[
        str | None, Flag("Revision that the patch is for.", once=True, metavar="REV", shown="HEAD")
    ] = None
    test: Annotated[
        list[str], Flag("A test that must pass with the patch; repeatable.", metavar="ID", once=True)
    ] = Field(default_factory=list[str])

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.patch is not None, self.staged, self.pr is not None)) > 1:
            raise ValueError("--patch, --staged and --pr exclude each other: give one")
        return self


class VerifySettings(SandboxSettings, VerificationSettings, ChangeSettings):
    """Everything that `swe-agent verify` can be told."""

    image: Annotated[str | None, Flag("Container image (docker).", group="Sandbox")] = None
    python: Annotated[
        str | None,
        Flag("Python version of the environment.", group="Verification", metavar="X.Y", shown="detected"),
    ] = None
    json_: Annotated[bool, Flag("One JSON object on stdout.", name="json", once=True, group="Output")] = False
    quiet: Annotated[bool, Flag("No progress on stderr.", short="-q", group="Output")] = False


app = CommandApp()


@settings_command(app, VerifySettings, "verify")
def verify(settings: VerifySettings) -> int:
    """Judge a patch with no model: what it fixes and what it breaks, in about a minute, on forks of a copy.

    Exit 0: nothing that was run broke and every --test passes; 4: not so.
    """
    import asyncio
    from tempfile import TemporaryDirectory

    from ..report.output import print_json
    from ..report.screen import Screen
    from ..solving.verification import VerifyRequest, verify_patch
    from .changes import changes_of
    from .walls import agree_to_no_walls

    agree_to_no_walls(settings.sandbox, settings.image)
    screen = Screen(quiet=settings.quiet or settings.json_)
    with TemporaryDirectory(prefix="swe-agent-changes-") as folder:
        changes = changes_of(
            settings.repo, settings.patch, settings.staged, settings.pr, settings.base, Path(folder)
        )
        request = VerifyRequest(
            changes.repository,
            changes.patch,
            changes.base,
            tests=tuple(settings.test),
            verify=settings.verify,
            sandbox=settings.sandbox,
            image=settings.image,
            python=settings.python,
            setup=settings.setup,
            test_cmd=settings.test_cmd,
            network=settings.network,
        )
        found = asyncio.run(verify_patch(request, lambda line: screen.line(f"· {line}", "dim")))
    if settings.json_:
        print_json(found.to_json())
        return found.exit_code
    for name in (
        "fixed",
        "broken",
        "contradicted",
        "still_failing",
        "failed_targets",
        "unknown",
        "flaky",
        "special_cases",
    ):
        tests: tuple[str, ...] = getattr(found, name)
        if tests:
            shown = "".join(f"\n  {one}" for one in tests[:10])
            more = f"\n  and {len(tests) - 10} more" if len(tests) > 10 else ""
            print(f"{name.replace('_', ' ')}: {len(tests)}{shown}{more}")
    print(found.status)
    return found.exit_code
