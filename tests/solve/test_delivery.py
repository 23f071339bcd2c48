"""What leaves a run: the patch where it was asked for, the same again on replay, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import CODER, ISSUE, RIGHT, SOLVE, Done, call, git, said

Run = Callable[..., Done]


def test_delivery(swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path) -> None:
    head = git(parking, "rev-parse", "HEAD")
    done = swe_agent(
        *SOLVE,
        parking,
        "--model",
        script(),
        "--branch",
        "fix/hours",
        "--patch",
        "-",
        "-q",
        "--output",
        tmp_path / "r",
    )
    assert done.code == 0, done.err
    assert done.out == (tmp_path / "r" / "patch.diff").read_text()
    assert RIGHT in git(parking, "show", "fix/hours:parking/tariff.py")
    assert git(parking, "rev-parse", "HEAD") == head
    assert git(parking, "status", "--porcelain") == ""
    assert swe_agent("apply", tmp_path / "r").code == 0
    assert git(parking, "status", "--porcelain") == " M parking/tariff.py\n"
    again = swe_agent("apply", tmp_path / "r")
    assert again.code == 2
    assert "already applied" in again.err
    assert swe_agent("apply", tmp_path / "r", "--undo").code == 0
    assert git(parking, "status", "--porcelain") == ""


def test_replay(swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path) -> None:
    swe_agent(*SOLVE, parking, "--model", script(), "-q", "--output", tmp_path / "r")
    (tmp_path / "script.json").unlink()
    same = swe_agent("replay", tmp_path / "r")
    assert same.code == 0, same.err
    assert "identical" in same.out
    log = tmp_path / "r" / "events.jsonl"
    log.write_text(log.read_text().replace(RIGHT, "return minutes"))
    other = swe_agent("replay", tmp_path / "r")
    assert other.code != 0
    assert "diverges" in other.err


def test_secrets_stay_out(swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path) -> None:
    key = "sk-proj-" + "Zx9" * 16
    token = "ghp_" + "A1b2" * 9
    host = "correct-horse-battery-staple-77"
    (parking / "settings.ini").write_text(f"token = {token}\n")
    git(parking, "add", "-A")
    git(parking, "commit", "-qm", "settings")
    coder = [
        said(call("readFile", path="settings.ini")),
        said(call("shell", command="env; cat settings.ini")),
        *CODER,
    ]
    done = swe_agent(
        "solve",
        "--text",
        f"{ISSUE}\nOur key is {key}",
        "--repo",
        parking,
        "--model",
        script(coder=coder),
        "--output",
        tmp_path / "r",
        env={"MY_SERVICE_PASSWORD": host},
    )
    assert done.code == 0, done.err
    for path in (tmp_path / "r").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for secret in (key, token, host):
                assert secret.encode() not in data, path
    for secret in (key, token, host):
        assert secret not in done.out + done.err
