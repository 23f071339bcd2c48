"""The verifier: tests go to /tests, test.sh runs, the reward is read from /logs/verifier."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .box import Box
from .result import Rewards, TrialError

LOGS = "/logs/verifier"


def verify(
    box: Box,
    tests: Sequence[Path],
    logs: Path,
    *,
    env: Mapping[str, str],
    timeout: float | None,
    user: str | int | None,
) -> Rewards:
    """Run test.sh and read the rewards; `tests` is empty where the image brings them. The contents of
    /logs/verifier go to `logs`. Raises: TrialError (timeout, no reward, one that is no finite number)."""
    box.exec(f"rm -rf {LOGS}/reward.txt {LOGS}/reward.json", cwd="/", user="root")
    for folder in tests:
        box.put(folder, "/tests")
    box.exec("chmod +x /tests/test.sh", cwd="/", user="root")
    done = box.exec(f"/tests/test.sh > {LOGS}/test-stdout.txt 2>&1", timeout=timeout, env=env, user=user)
    shutil.rmtree(logs, ignore_errors=True)
    box.get(LOGS, logs)
    if done.timed_out:
        raise TrialError("VerifierTimeoutError", f"test.sh ran longer than {timeout:.0f} s")
    return read_rewards(logs)


def read_rewards(logs: Path) -> Rewards:
    """reward.json before reward.txt. Raises: TrialError: an absent or empty file is an error, not 0."""
    table, number = logs / "reward.json", logs / "reward.txt"
    path = table if table.is_file() else number
    if not path.is_file():
        raise TrialError(
            "RewardFileNotFoundError", f"no reward file: test.sh left neither {number.name} nor {table.name}"
        )
    text = path.read_text("utf-8", "replace")
    if not text.strip():
        raise TrialError("RewardFileEmptyError", f"{path.name} is empty")
    try:
        data = json.loads(text) if path is table else {"reward": float(text)}
    except ValueError as error:
        raise TrialError(
            "VerifierOutputParseError", f"{path.name} holds no number: {text.strip()[:80]!r}"
        ) from error
    if not isinstance(data, dict):
        raise TrialError("VerifierOutputParseError", f"{path.name} is no object of numbers")
    for name, value in data.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TrialError(
                "VerifierOutputParseError", f"{path.name}: {name} = {value!r} is no finite number"
            )
    if not data:
        raise TrialError("VerifierOutputParseError", f"{path.name} holds no reward")
    return {name: float(value) for name, value in data.items()}
