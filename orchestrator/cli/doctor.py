"""`swe-agent doctor`."""

from __future__ import annotations

import typer

from .help import CommandApp

app = CommandApp()


@app.command()
def doctor(
    ping: bool = typer.Option(
        False, "--ping", help="Ask the model, and try what its endpoint takes (some ten short calls)."
    ),
    model: str = typer.Option("offline/repair", help="Model to check."),
    api_base: str = typer.Option(None, help="Base URL of an OpenAI-compatible endpoint."),
    probe: bool = typer.Option(
        False,
        "--probe",
        help="Try some 45 attacks in each kind of sandbox and print what held (some minutes).",
    ),
    image: str = typer.Option(None, help="Container image for --probe in docker; it needs python3."),
    json_: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> int:
    """Check this machine: sandboxes, git, tools, model keys. Exit 0 when the main job can run here."""
    import json
    from dataclasses import asdict

    from ..solving.diagnosis import diagnose, takes

    if probe:
        return _probe(image, json_)
    checks = diagnose(model, api_base, ping=ping)
    traits = takes(model, api_base) if ping and checks[-1].ok else []
    if json_:
        print(json.dumps([*map(asdict, checks), *map(asdict, traits)], ensure_ascii=False))
    else:
        for check in checks:
            mark = "ok  " if check.ok else "FAIL" if check.needed else "-   "
            print(f"{mark} {check.name:<22} {check.detail}")
            if not check.ok and check.remedy:
                print(f"{'':<27} {check.remedy}")
        if traits:
            from ...agents.models.survey import table

            print(f"\n{table(model, traits)}")
    return 0 if all(check.ok for check in checks if check.needed) else 7


def _probe(image: str | None, json_: bool) -> int:
    """The table attack x kind. Exit 7 when a kind with walls did not hold one, or could not be tried."""
    import json
    import sys
    from dataclasses import asdict

    from ...tools.sandbox.probes import probe, table

    kinds: dict[str, str | None] = {"namespace": None, **({"docker": image} if image else {}), "plain": None}
    tried = probe(kinds, lambda line: print(f"· {line}", file=sys.stderr))
    print(json.dumps([asdict(one) for one in tried], ensure_ascii=False) if json_ else table(tried))
    open_ = [one for one in tried if one.kind != "plain" and one.verdict in ("not held", "not tried")]
    for one in open_:
        print(f"{one.kind}: {one.attack}: {one.verdict}: {one.detail}", file=sys.stderr)
    return 7 if open_ else 0
