"""diagnose: what this machine can do, for `swe-agent doctor`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...agents.models.calls import ModelOptions
from ...tools.errors import SweAgentError
from ...tools.extras import install_command
from ...tools.plugins import KINDS, installed, origin

if TYPE_CHECKING:
    from ...agents.models.survey import Trait


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `needed`: the main job cannot run without it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = False


def diagnose(model: str, api_base: str | None, *, ping: bool) -> list[Check]:
    """All checks, quick and without network (but for `ping`)."""
    checks = [
        Check(
            "python",
            sys.version_info >= (3, 11),
            platform.python_version(),
            "install Python 3.11 or newer",
            needed=True,
        ),
        _program("git", "install git", needed=True),
        _program("rg", "optional: search is faster with ripgrep"),
        Check(
            "uv",
            bool(shutil.which("uv") or find_spec("uv")),
            shutil.which("uv") or "as a package"
            if shutil.which("uv") or find_spec("uv")
            else "not there: pip is used, native evaluation is refused",
            "pip install uv",
        ),
    ]
    checks += _sandboxes()
    checks += [
        Check(
            f"extra [{extra}]",
            find_spec(package) is not None,
            _version(package),
            f"{install_command(extra)}",
        )
        for extra, package in (
            ("export", "datasets"),
            ("gym", "gymnasium"),
            ("ray", "ray"),
            ("swebench", "swebench"),
            ("train", "trl"),
            ("atif", "atif"),
        )
    ]
    checks.append(_plugins())
    checks.append(_model(model, ModelOptions(api_base=api_base), ping=ping))
    return checks


def takes(model: str, api_base: str | None) -> list[Trait]:
    """What the model's endpoint takes, by trying. Raises: CredentialsError."""
    from ...agents.models.survey import survey

    return asyncio.run(survey(model, ModelOptions(api_base=api_base)))


def _program(name: str, remedy: str, *, needed: bool = False) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name, False, "not found", remedy, needed)
    done = subprocess.run([path, "--version"], capture_output=True, text=True)
    return Check(name, done.returncode == 0, (done.stdout or done.stderr).splitlines()[0], remedy, needed)


def _sandboxes() -> list[Check]:
    from ...tools.sandbox import doctor

    return [Check(c.name, c.ok, c.detail, c.remedy) for c in doctor.diagnose()]


def _plugins() -> Check:
    """What installed packages offer, by entry point."""
    found = [
        f"{name} ({kind.removesuffix('s')} of {origin(entry)})"
        for kind in KINDS
        for name, entry in installed(kind).items()
    ]
    return Check("plug-ins", bool(found), ", ".join(found) or "none installed")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _model(model: str, options: ModelOptions, *, ping: bool) -> Check:
    from ...agents.models.factory import check_model
    from ...agents.models.preflight import ping as ask

    try:
        check_model(model, options)
        detail = f"{model}: known, key present" if not model.startswith(("offline/", "scripted/")) else model
        if ping:
            answer = asyncio.run(ask(model, options))
            detail = f"{answer.detail}, {answer.latency_s} s from {answer.endpoint}"
        return Check("model", True, detail, needed=True)
    except SweAgentError as error:
        return Check("model", False, str(error), "see --model and docs/models.md", needed=True)
