"""Runs the steps of action.yml as a runner would: one shell a step, with the step's environment and nothing
else of the caller's, outputs read from GITHUB_OUTPUT."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@dataclass
class Workflow:
    """What the steps left behind."""

    outputs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    log: str = ""
    summary: str = ""
    codes: list[int] = field(default_factory=list[int])

    @property
    def conclusion(self) -> str:
        return self.outputs.get("publish", {}).get("conclusion") or "skipped"


@dataclass(frozen=True)
class Machine:
    """Where the steps run."""

    action: Path = ROOT
    """Checkout of the action."""
    path: str = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

    def command(self, script: str, environment: dict[str, str], folder: Path) -> list[str]:
        return ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *_SHELL, script]


@dataclass(frozen=True)
class Bare(Machine):
    """A Debian root with git and Python alone, which shows the action and the runner's folder. Needs root."""

    path: str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    root: Path = Path("/nonexistent")

    def command(self, script: str, environment: dict[str, str], folder: Path) -> list[str]:
        kept = {name: value for name, value in os.environ.items() if _WAY_THERE.fullmatch(name)}
        words = [f"{name}={value}" for name, value in {**kept, **environment}.items()]
        mounts = ["mount -t proc proc $0/proc", "mount --rbind /dev $0/dev"]
        for path in (folder, self.action, *_ROADS):
            if path.exists():
                make = f"mkdir -p $0{path}" if path.is_dir() else f"touch $0{path}"
                mounts += [make, f"mount --bind {path} $0{path}"]
        enter = f'{" && ".join(mounts)} && shift && exec chroot "$0" env -i -C "{folder}" "$@"'
        return ["unshare", "--mount", "bash", "-c", enter, str(self.root), "-", *words, *_SHELL, script]


_SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
_WAY_THERE = re.compile(r"(?i)(pip|uv_default)_index(_url)?|ssl_cert_\w+|\w+_proxy")
_ROADS = [
    *(Path("/etc/ssl/certs"), Path("/usr/share/ca-certificates"), Path("/usr/local/share/ca-certificates")),
    *(Path("/etc/resolv.conf"), Path("/etc/hosts")),
]
"""What the host's way to its package index needs."""


def run_action(
    folder: Path, name: str, payload: dict[str, Any], *, server: str, token: str, cache: Path,
    machine: Machine | None = None, **inputs: str,
) -> Workflow:  # fmt: skip
    """Run the action on an event in `folder`. `inputs` with underscores for hyphens."""
    machine = machine or Machine()
    folder.mkdir(parents=True)
    event = folder / "event.json"
    event.write_text(json.dumps(payload))
    given = {key: str(spec.get("default", "")) for key, spec in ACTION["inputs"].items()}
    given |= {key.replace("_", "-"): value for key, value in inputs.items()} | {"github-token": token}
    done = Workflow()
    for step in ACTION["runs"]["steps"]:
        if not _wanted(step.get("if"), done):
            continue
        out, summary = folder / f"{step['id']}.out", folder / "summary.md"
        environment = {
            "PATH": machine.path,
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "temp"),
            "SWE_AGENT_CACHE": str(cache),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_SERVER_URL": server,
            "GITHUB_API_URL": f"{server}/api/v3",
            "GITHUB_OUTPUT": str(out),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_ENV": str(folder / "env"),
            **{key: _value(str(value), given, machine) for key, value in step.get("env", {}).items()},
        }
        out.touch()
        ran = subprocess.run(
            machine.command(step["run"], environment, folder),
            cwd=folder, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        done.codes.append(ran.returncode)
        done.log += ran.stdout + ran.stderr
        done.outputs[step["id"]] = read_outputs(out.read_text())
        done.summary = summary.read_text() if summary.exists() else ""
    return done


def _wanted(condition: str | None, done: Workflow) -> bool:
    match = re.search(r"steps\.(\w+)\.outputs\.([\w-]+) == '(\w+)'", condition or "")
    return match is None or done.outputs.get(match[1], {}).get(match[2]) == match[3]


def _value(text: str, inputs: dict[str, str], machine: Machine) -> str:
    def resolve(match: re.Match[str]) -> str:
        what = match[1]
        return str(machine.action) if what == "github.action_path" else inputs[what.removeprefix("inputs.")]

    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", resolve, text)


def read_outputs(text: str) -> dict[str, str]:
    """GITHUB_OUTPUT as the runner reads it: `name=value`, or `name<<MARK` to a line that is MARK."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if "<<" in line and ("=" not in line or line.index("<<") < line.index("=")):
            name, mark = line.split("<<", 1)
            value = []
            for more in lines:
                if more == mark:
                    break
                value.append(more)
            found[name] = "\n".join(value)
        elif "=" in line:
            name, value_ = line.split("=", 1)
            found[name] = value_
    return found


def secrets_in(folder: Path, secret: str) -> list[str]:
    """Files below `folder` that hold `secret`."""
    return [
        str(path) for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]  # fmt: skip
