"""How many characters of prompt does a scripted team send? Of one or several versions of the command, side by side.

    python bench/prompts.py [--command PATH ...] [--rows ROWS.jsonl --repo-mirror DIR --only ID ...]

The team is the same for all: the Tester runs tests and reports, the Coder applies a patch (of the bundled example, or
a row's own), runs tests and ends, the Critic accepts. What is counted is what arrives at the endpoint: the messages
of every request, by role. The default COMMAND is `swe-agent` of this environment.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from servers.model_server import ModelServer, Received  # noqa: E402

from swe_agent.orchestrator.grading.mirror import find_mirror  # noqa: E402

_ROLES = ("Tester", "Coder", "Debugger", "Critic")
_EXAMPLE = "sed -i 's|return minutes // MINUTES_PER_HOUR + 1|return (minutes - 1) // MINUTES_PER_HOUR + 1|' parking/*.py"


@dataclass(frozen=True)
class Case:
    """What is solved, and how the Coder does it."""

    name: str
    arguments: tuple[str, ...]
    tests: str
    edit: str


def cases(options: argparse.Namespace) -> Iterator[Case]:
    yield Case("example", ("--example",), "tests/test_tariff.py", _EXAMPLE)
    for line in options.rows.read_text().splitlines() if options.rows else ():
        row = json.loads(line)
        if any(text in row["instance_id"] for text in options.only):
            repository = str(find_mirror(row["repo"], options.repo_mirror))
            arguments = (
                "--dataset",
                str(options.rows),
                "--instance",
                row["instance_id"],
                "--repo",
                repository,
            )
            test = json.loads(row["FAIL_TO_PASS"])[0].partition("::")[0]
            edit = f"git apply <<'END_OF_PATCH'\n{row['patch']}\nEND_OF_PATCH"
            yield Case(row["instance_id"], arguments, test, edit)


def script(case: Case) -> Mapping[str, Any]:
    def call(name: str, **arguments: Any) -> dict[str, Any]:
        return {"content": "I go on.", "tool_calls": [{"name": name, "arguments": arguments}]}

    tests = call("runTests", tests=[case.tests])
    found = call("finish", summary="The tests show it.", failingTests=[], reproduced=False)
    scores = {"addressesIssue": 9, "safeForCallers": 9, "minimal": 9, "honest": 9}
    done = call("finish", summary="It is done.")
    return {
        "Tester": [tests, found],
        "Coder": [call("shell", command=case.edit), tests, done],
        "Debugger": [tests, done],
        "Critic": [call("finish", accept=True, scores=scores, rationale="It is right.")],
    }


def measure(command: Path, case: Case) -> tuple[Counter[str], Counter[str]]:
    """Characters and requests by role of one run."""
    plan, at = script(case), Counter[str]()
    sent, requests = Counter[str](), Counter[str]()

    def reply(request: Received) -> Mapping[str, Any]:
        messages = request.body["messages"]
        role = next((role for role in _ROLES if f"You are the {role}" in messages[0]["content"]), "Coder")
        sent[role] += sum(len(json.dumps(message, ensure_ascii=False)) for message in messages)
        requests[role] += 1
        replies = plan[role]
        at[role] += 1
        return replies[min(at[role], len(replies)) - 1]

    with ModelServer(reply) as server, tempfile.TemporaryDirectory(prefix="prompts-") as folder:
        line = [
            str(command),
            "solve",
            *case.arguments,
            "--model",
            "openai/scripted",
            "--api-base",
            server.base,
        ]
        line += ["--roles", "team", "--search", "linear", "--output", f"{folder}/run"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    if not requests["Coder"]:
        raise SystemExit(f"{shlex.join(line)}\nexit {done.returncode}: {done.stderr[-1500:]}")
    return sent, requests


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--command", type=Path, action="append", help="repeatable")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path)
    parser.add_argument("--only", nargs="*", default=[""], help="texts of instance ids")
    options = parser.parse_args()
    print("| case | command | requests | Tester | Coder | Debugger | Critic | characters |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for case in cases(options):
        for command in options.command or [Path(sys.executable).with_name("swe-agent")]:
            sent, requests = measure(command, case)
            columns = " | ".join(f"{sent[role]:,}" for role in _ROLES)
            print(
                f"| {case.name} | {command} | {requests.total()} | {columns} | {sent.total():,} |", flush=True
            )


if __name__ == "__main__":
    main()
