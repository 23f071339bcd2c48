"""`swe-agent solve`."""

from __future__ import annotations

from .help import CommandApp
from .options import settings_command
from .solve_settings import SolveSettings as SETTINGS

app = CommandApp()


@settings_command(app, SETTINGS, "solve")
def solve(settings: SETTINGS) -> int:
    """Solve one issue: from a URL, a text, a file or a dataset instance.

    With --issue URL alone, repository, base commit, environment and tests are inferred, and each inference
    is printed. Your checkout is never touched unless --apply or --branch is given.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from ...tools.errors import SweAgentError
    from ..exit_code import ExitCode, exit_code_of
    from ..report.live import make_screen
    from ..report.output import print_json
    from .delivery import Delivered, check_delivery, check_repository, deliver, write_patch
    from .sources import build_request, dry_run_lines, resume_request
    from .stopping import run_solve

    screen = make_screen(quiet=settings.quiet, verbose=settings.verbose, stream=settings.json_stream)
    if settings.resume is not None:
        request, run = resume_request(settings.resume)
        check_delivery(settings, request.issue, local=not request.repository.is_relative_to(run.path))
        check_repository(settings, request.repository)
    elif settings.dry_run:
        with TemporaryDirectory(prefix="swe-agent-dry-run-") as scratch:
            request, _ = build_request(settings, screen, Path(scratch))
            lines = dry_run_lines(request)
        if settings.json_:
            print_json({**request.to_json(), "inferences": lines})
        else:
            print("\n".join(lines))
        return ExitCode.OK
    else:
        request, run = build_request(settings, screen, None)
    assert run is not None
    result = run_solve(request, run, screen)
    done = Delivered()
    failure: SweAgentError | None = None
    try:
        write_patch(settings, result)
        deliver(settings, request, result, screen, done)
    except SweAgentError as error:
        failure = error
        done.exit_code, done.delivery_error = int(exit_code_of(error)), str(error)
    screen.finished(result, done.to_json())
    if settings.json_:
        print_json({**result.to_json(), "issue": request.issue.id, **done.to_json()})
    if failure is not None:
        raise failure
    return result.exit_code
