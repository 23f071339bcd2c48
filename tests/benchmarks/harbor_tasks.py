"""Harbor tasks, each for one feature. The oracle gets 1, nobody gets 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DOCKERFILE = "FROM debian:12\nWORKDIR /app\nCOPY data/ /app/\n"
CHECK = "#!/bin/bash\nif {test}; then echo 1; else echo 0; fi > /logs/verifier/reward.txt\n"
HELLO = CHECK.format(test="grep -qx hello /app/hello.txt")
SOLVE = "#!/bin/bash\necho hello > /app/hello.txt\n"

Files = Mapping[str, str]


def _task(toml: str = "", **files: str) -> dict[str, str]:
    """A task; keyword names stand for paths, with `__` for `/` and `_sh` for `.sh`."""
    named = {
        name.replace("__", "/").replace("_sh", ".sh").replace("_txt", ".txt").replace("_md", ".md"): text
        for name, text in files.items()
    }
    base = {
        "instruction.md": "Write hello to hello.txt.\n",
        "environment/Dockerfile": DOCKERFILE,
        "environment/data/notes.txt": "here\n",
        "tests/test.sh": HELLO,
        "solution/solve.sh": SOLVE,
    }
    return {"task.toml": f'schema_version = "1.4"\n{toml}', **base, **named}


def _steps() -> dict[str, str]:
    files = _task(
        'multi_step_reward_strategy = "mean"\n[[steps]]\nname = "one"\nmin_reward = 1.0\n[[steps]]\nname = "two"\n',
        steps__one__instruction_md="Write one.",
        steps__one__tests__test_sh=CHECK.format(test="[ -f /app/one ] && [ ! -e /tests/two ]"),
        steps__one__solution__solve_sh="#!/bin/bash\ntouch /app/one\n",
        steps__two__instruction_md="Write two.",
        steps__two__workdir__setup_sh="touch /app/staged\n",
        steps__two__tests__test_sh=CHECK.format(
            test="[ -f /app/one ] && [ -f /app/two ] && [ -f /app/staged ]"
        ),
        steps__two__tests__two="",
        steps__two__solution__solve_sh="#!/bin/bash\ntouch /app/two\n",
    )
    for name in ("instruction.md", "tests/test.sh", "solution/solve.sh"):
        del files[name]
    return files


def _final() -> dict[str, str]:
    files = _steps()
    files["task.toml"] = files["task.toml"].replace('"mean"', '"final"').replace("min_reward = 1.0\n", "")
    files["steps/one/tests/test.sh"] = CHECK.format(test="false")
    return files


TASKS: dict[str, dict[str, str]] = {
    "reward-txt": _task(),
    "reward-json": _task(
        tests__test_sh="#!/bin/bash\ngrep -qx hello /app/hello.txt && v=1 || v=0\n"
        'echo "{\\"style\\": $v, \\"works\\": $v.0}" > /logs/verifier/reward.json\n'
    ),
    "steps": _steps(),
    "final": _final(),
    "separate": _task(
        'artifacts = ["/app/hello.txt"]\n[verifier]\nenvironment_mode = "separate"\n',
        # only the artifact crosses: what the agent left elsewhere is not there
        tests__test_sh=CHECK.format(test="grep -qx hello /app/hello.txt && [ ! -e /app/secret ]"),
        solution__solve_sh="#!/bin/bash\necho hello > /app/hello.txt; touch /app/secret\n",
    ),
    "separate-image": _task(
        'artifacts = [{source = "/app/out", exclude = ["*.tmp"]}]\n[verifier.environment]\n',
        tests__Dockerfile="FROM debian:12\nWORKDIR /app\nCOPY . /tests/\n",
        tests__wanted_txt="hello\n",
        tests__test_sh=CHECK.format(
            test="cmp -s /app/out/hello.txt /tests/wanted.txt && [ ! -e /app/out/x.tmp ]"
        ),
        solution__solve_sh="#!/bin/bash\nmkdir -p /app/out; echo hello > /app/out/hello.txt; touch /app/out/x.tmp\n",
    ),
    "collect": _task(
        '[verifier]\nenvironment_mode = "separate"\n[[verifier.collect]]\n'
        'command = "cp /app/hello.txt /logs/artifacts/taken.txt"\n',
        tests__test_sh=CHECK.format(test="grep -qx hello /logs/artifacts/taken.txt"),
    ),
    "timeouts": _task(
        # the oracle writes, then sleeps for longer than it may: its work still counts
        "[agent]\ntimeout_sec = 2\n[verifier]\ntimeout_sec = 30\n",
        solution__solve_sh=SOLVE + "sleep 60\n",
    ),
    "healthcheck": _task(
        '[environment.healthcheck]\ncommand = "echo x >> /app/beats; [ $(wc -l < /app/beats) -ge 3 ]"\n'
        "interval_sec = 0.1\nretries = 5\n",
        tests__test_sh=CHECK.format(test="grep -qx hello /app/hello.txt && [ -s /app/beats ]"),
    ),
    "variables": _task(
        '[environment]\nmemory = "1G"\nallow_internet = false\nenv = {WHO = "${HARBOR_TEST_WHO:-hello}"}\n'
        '[verifier.env]\nWANTED = "hello"\n[solution.env]\nWORD = "hello"\n',
        environment__Dockerfile="FROM debian:12\nENV PLACE=/app\nWORKDIR $PLACE\nCOPY data/ ./\nRUN mkdir -p deep && echo made > deep/made\n",
        tests__test_sh=CHECK.format(test='grep -qx "$WANTED" /app/hello.txt && grep -q made /app/deep/made'),
        solution__solve_sh='#!/bin/bash\n[ "$WORD" = "$WHO" ] && echo "$WORD" > hello.txt\n',
    ),
    "network-phases": _task(
        '[environment]\nnetwork_mode = "no-network"\n[agent]\nnetwork_mode = "no-network"\n'
        '[verifier]\nnetwork_mode = "no-network"\n',
        tests__test_sh=CHECK.format(
            test="grep -qx hello /app/hello.txt && ! (exec 3<>/dev/tcp/192.0.2.1/80) 2>/dev/null"
        ),
    ),
}


_LIMIT = "$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"
IN_CONTAINERS: dict[str, dict[str, str]] = {
    "image": _task(
        '[environment]\ndocker_image = "debian:12"\ncpus = 1\nmemory_mb = 256\nworkdir = "/opt"\n',
        tests__test_sh=CHECK.format(test="grep -qx hello /opt/hello.txt"),
        solution__solve_sh=f'#!/bin/bash\n[ "{_LIMIT}" = 268435456 ] && echo hello > hello.txt\n',
    ),
    "user": _task(
        '[agent]\nuser = "nobody"\n[verifier]\nuser = "root"\n',
        tests__test_sh=CHECK.format(test="grep -qx hello /tmp/hello.txt && [ $(id -un) = root ]"),
        solution__solve_sh="#!/bin/bash\n[ $(id -un) = nobody ] && echo hello > /tmp/hello.txt\n",
    ),
}
"""What a namespace cannot do."""


def write_task(home: Path, files: Files) -> Path:
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return home


def write_all(folder: Path) -> Path:
    for name, files in TASKS.items():
        write_task(folder / name, files)
    return folder
