"""Attempts to take the machine down from inside a walled sandbox: each is bounded, and the next command works."""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
import time
from pathlib import Path

from sandbox.walls import LIMITS, python

from swe_agent.tools.sandbox import Sandbox


def test_a_fork_bomb_is_bounded(box: Sandbox) -> None:
    worst = _Responsiveness()
    with worst:
        box.exec(["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 4"], timeout=4)
    assert worst.seconds < 3
    code, output = python(
        box,
        "import os\nn = 0\n"
        "try:\n"
        "    while n < 5000:\n"
        "        if os.fork() == 0: os.read(os.pipe()[0], 1)\n"
        "        n += 1\n"
        "except OSError: pass\n"
        "print(n)",
    )
    assert code == 0
    assert int(output) <= 64


def test_orphans_that_have_ended_are_no_processes(box: Sandbox) -> None:
    """A runner that daemonises again and again, slowly, must not fill the table of processes with the dead."""
    program = (
        "import os, time\n"
        "for n in range(5 * 64):\n"
        "    if (child := os.fork()) == 0:\n"
        "        if os.fork() == 0: time.sleep(0.01)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0); time.sleep(0.02)\n"
        "print('all')"
    )
    assert python(box, program) == (0, "all\n")


def test_memory_is_bounded_for_one_process(box: Sandbox) -> None:
    code, output = python(box, "x = bytearray(10 << 30); x[::4096] = b'1' * len(x[::4096]); print('got it')")
    assert code != 0
    assert "got it" not in output


def test_memory_is_bounded_for_all_processes_together(box: Sandbox) -> None:
    program = (
        "import os, time\n"
        "for _ in range(20):\n"
        "    if os.fork() == 0:\n"
        "        x = bytearray(b'1') * (150 << 20)\n"
        "        time.sleep(20)\n"
        "        os._exit(0)\n"
        "time.sleep(20); print('all fit')"
    )
    worst = _Responsiveness()
    with worst:
        done = python(box, program, timeout=12)
    assert worst.lowest_free > 0
    assert worst.taken < 2 << 30, f"{worst.taken >> 20} MiB were taken before it stopped"
    assert "all fit" not in done[1]


def test_disk_is_bounded(box: Sandbox) -> None:
    before = shutil.disk_usage("/var/tmp").used
    done = box.exec("for i in $(seq 200); do head -c 52428800 /dev/zero > big$i || exit 3; done", timeout=60)
    assert done.exit_code != 0
    assert not done.timed_out
    assert shutil.disk_usage("/var/tmp").used - before < 4 << 30
    assert "disk limit" in done.output
    assert box.exec("echo more > small; wc -c < small").output.strip() != "5", "over the limit nothing grows"
    assert box.exec("rm -f big*; echo freed").output == "freed\n"
    box.exec("true")
    assert box.exec("echo x > small; wc -c < small").output.strip() == "2"


def test_one_file_is_bounded(box: Sandbox) -> None:
    done = box.exec("head -c 10737418240 /dev/zero > huge; echo; wc -c < huge; rm huge")
    assert int(done.output.split()[-1]) <= 64 << 20


def test_a_million_files_stop_nobody(box: Sandbox) -> None:
    program = "import os\nos.mkdir('many')\nfor i in range(10 ** 6): os.close(os.open(f'many/{i}', 64 | 1))"
    worst = _Responsiveness()
    with worst:
        code, _ = python(box, program, timeout=10)
    assert code != 0
    assert worst.seconds < 5


def test_a_gigabyte_of_output_costs_no_memory(box: Sandbox) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = box.exec("echo first; head -c 1073741824 /dev/zero | tr '\\0' x; echo; echo last", timeout=120)
    assert done.exit_code == 0
    assert done.truncated
    assert done.output.startswith("first\n")
    assert done.output.endswith("last\n")
    assert len(done.output) < LIMITS.output_bytes + 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_a_daemonised_child_does_not_outlive_its_command(box: Sandbox) -> None:
    program = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for n in (0, 1, 2): os.close(n)\n"
        "        time.sleep(2); os.close(os.open('late.txt', 64 | 1)); time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.wait(); print('done')"
    )
    assert python(box, program) == (0, "done\n")
    time.sleep(2.5)
    assert box.exec("ls late.txt").exit_code != 0
    assert len(box.exec("ls /proc | grep -c '^[0-9]'").output) <= 2


class _Responsiveness:
    """How the host fares meanwhile: the longest time that starting a process took, and memory."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lowest_free = self._start_free = _free()
        self._stop = threading.Event()

    @property
    def taken(self) -> int:
        """Bytes of memory by which the host had less at the worst moment."""
        return self._start_free - self.lowest_free

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._measure)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._stop.wait(0.1):
            start = time.monotonic()
            subprocess.run(["true"], check=True)
            self.seconds = max(self.seconds, time.monotonic() - start)
            self.lowest_free = min(self.lowest_free, _free())


def _free() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no MemAvailable")
