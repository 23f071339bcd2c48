"""Where the time of a run goes on rows of a benchmark: to the first model call, for a candidate's check, for the last.

    python bench/timeline.py ROWS.jsonl --repo-mirror DIR [--verify auto full] [--only TEXT] [--out FILE]

One `swe-agent batch` a row, natively, with a model scripted to apply the row's own change and to finish, in an
environment that was built before. Seconds by the record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from overhead import served
from prepared import built, rows_of


def script_of(row: dict[str, Any]) -> dict[str, Any]:
    """What the model says: apply the change, finish."""
    apply = f"git apply <<'END_OF_PATCH'\n{row['patch']}\nEND_OF_PATCH"
    turns = [
        {"tool_calls": [{"name": "shell", "arguments": {"command": apply}}]},
        {"tool_calls": [{"name": "finish", "arguments": {"summary": "The change is made."}}]},
    ]
    return {"replies": turns, "models": []}


def run(row: dict[str, Any], mirrors: Path, verify: str) -> dict[str, Any]:
    """One run of the row. Raises: RuntimeError with the command's last words when there is no record of it."""
    with tempfile.TemporaryDirectory(prefix="timeline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
        (folder / "pid").write_text(str(os.getpid()))  # whom the server watches: nobody, here
        with served(script_of(row), folder, folder / "pid") as base:
            command = [sys.executable, "-m", "swe_agent", "batch", "--dataset", str(folder / "rows.jsonl")]
            command += ["--environment", "native", "--repo-mirror", str(mirrors), "--roles", "single"]
            command += ["--search", "linear", "--model", "openai/scripted", "--api-base", base]
            command += ["--verify", verify, "--output", str(folder / "batch")]
            environment = {**os.environ, "OPENAI_API_KEY": "none"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
        records = list((folder / "batch").rglob("events.jsonl"))
        if not records:
            raise RuntimeError((done.stdout + done.stderr).strip()[-400:])
        events = [json.loads(line) for line in records[0].read_text("utf-8").splitlines()]
    return times(events)


def times(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds between the marks of a record; None where one is missing."""

    def at(*, last: bool = False, **wanted: object) -> float | None:
        found = [e["at"] for e in events if all(e.get(key) == value for key, value in wanted.items())]
        return None if not found else found[-1 if last else 0]

    def between(begin: float | None, end: float | None) -> float | None:
        return None if begin is None or end is None else round(end - begin, 1)

    checks = [e["at"] for e in events if e["type"] == "check_planned"]
    rolled, outcome = at(type="rollout"), at(type="outcome")
    return {
        "to_open": between(events[0]["at"], at(type="inference", what="sandbox")),
        "open_to_first_call": between(
            at(type="inference", what="sandbox"), at(type="message", role="system")
        ),
        "candidate_check": between(checks[0] if checks else None, rolled),
        "final_check": between(rolled, outcome),
        "all": between(events[0]["at"], outcome),
        "status": next((e["status"] for e in events if e["type"] == "outcome"), "no outcome"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path, required=True)
    parser.add_argument("--verify", nargs="+", default=["auto"])
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    print("| row | verify | to open | open to first call | candidate's check | last check | all | status |")
    print("|---|---|---|---|---|---|---|---|")
    for row in (row for row in rows_of(asked.rows) if asked.only in row["instance_id"]):
        built(row, asked.repo_mirror)
        for verify in asked.verify:
            found = run(row, asked.repo_mirror, verify)
            print(f"| {row['instance_id']} | {verify} | {' | '.join(map(str, found.values()))} |", flush=True)
            if asked.out:
                with asked.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"name": row["instance_id"], "verify": verify, **found}) + "\n")


if __name__ == "__main__":
    main()
