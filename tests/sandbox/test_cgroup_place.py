"""Where control groups can be made, on folders laid out as the kernel and systemd lay them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swe_agent.tools.sandbox.holder.cgroup import Cgroup, bound, kill, remove
from swe_agent.tools.sandbox.holder.cgroup_place import CgroupPlace, NoPlaceError, start_of

OWNER = f"{os.getpid()}-{start_of(os.getpid())}"
USER = "user.slice/user-1000.slice/user@1000.service"


class Machine:
    """A cgroup v2 file system and the files of /proc that tell of it."""

    def __init__(self, folder: Path, own: str, mounted: str = "/") -> None:
        self.top = folder / "cgroup"
        self.proc = folder / "proc"
        self.manager = folder / "systemd"
        self.proc.mkdir()
        (self.proc / "cgroup").write_text(f"0::{own}\n")
        line = f"30 23 0:26 {mounted} {self.top} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
        (self.proc / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + line)
        self.group("", "cpu memory pids")

    def group(self, name: str, enabled: str, *, delegated: bool = False) -> Path:
        folder = self.top / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory pids\n")
        (folder / "cgroup.subtree_control").write_text(f"{enabled}\n")
        (folder / "cgroup.procs").write_text("")
        if delegated:
            try:
                os.setxattr(folder, "user.delegate", b"1")
            except OSError:
                pytest.skip("no extended attributes on this file system")
        return folder

    def find(self, wanted: str = "") -> CgroupPlace:
        return CgroupPlace.find(wanted, OWNER, proc=str(self.proc), manager=str(self.manager))


def test_the_nearest_group_that_has_both_controllers_is_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/jobs/7/mine")
    machine.group("jobs", "cpu memory pids")
    machine.group("jobs/7", "memory")
    machine.group("jobs/7/mine", "")
    place = machine.find()
    assert place.parents == (str(machine.top / "jobs"),)
    assert place.version == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may write only what was handed over")
def test_what_systemd_has_not_handed_over_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/system.slice/swe.service")
    machine.manager.mkdir()
    machine.group("system.slice", "memory pids")
    machine.group("system.slice/swe.service", "")
    with pytest.raises(NoPlaceError, match="delegated"):
        machine.find()


def test_a_users_own_slice_was_handed_over(tmp_path: Path) -> None:
    machine = Machine(tmp_path, f"/{USER}/app.slice/run.scope")
    machine.manager.mkdir()
    machine.group(USER, "memory pids", delegated=True)
    machine.group(f"{USER}/app.slice", "memory pids")
    machine.group(f"{USER}/app.slice/run.scope", "")
    assert machine.find().parents == (str(machine.top / USER / "app.slice"),)


def test_a_container_sees_its_own_group_as_the_top(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/docker/abc/inner", mounted="/docker/abc")
    machine.group("inner", "")
    assert machine.find().parents == (str(machine.top),)


def test_groups_outside_the_mount_are_not_looked_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/../other")
    with pytest.raises(NoPlaceError):
        machine.find()


def test_a_named_group_gets_its_controllers(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/system.slice/swe.service")
    folder = machine.group("sandboxes", "")
    assert machine.find("/sandboxes").parents == (str(folder),)
    assert (folder / "cgroup.subtree_control").read_text().startswith("+memory +pids")


@pytest.mark.parametrize("name", ["sandboxes", "/a/../b"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoPlaceError, match="not the name"):
        Machine(tmp_path, "/").find(name)


def test_off_is_off(tmp_path: Path) -> None:
    with pytest.raises(NoPlaceError, match="switched off"):
        Machine(tmp_path, "/").find("off")


def test_version_one_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text("8:pids:/\n4:cpu,memory:/box/7\n1:name=systemd:/\n0::/\n")
    lines = ["22 1 8:1 / / rw - ext4 /dev/sda1 rw"]
    for number, name in enumerate(("cpu,memory", "pids", "name=systemd")):
        lines.append(f"3{number} 22 0:3{number} / {tmp_path}/{name} rw - cgroup cgroup rw,{name}")
    (proc / "mountinfo").write_text("\n".join(lines) + "\n")
    for name in ("cpu,memory/box/7", "pids"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").write_text("")
    place = CgroupPlace.find("", OWNER, proc=str(proc), manager=str(tmp_path / "systemd"))
    assert place.parents == (f"{tmp_path}/cpu,memory/box/7", f"{tmp_path}/pids")
    assert place.version == 1


def test_limits_are_written_as_version_two_names_them(tmp_path: Path) -> None:
    for name in ("cgroup.procs", "memory.max", "memory.swap.max", "pids.max"):
        (tmp_path / name).write_text("")
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 2\noom_kill 3\noom_group_kill 0\n")
    (tmp_path / "pids.current").write_text("7\n")
    limits = {"memory_bytes": 512 << 20, "disk_bytes": 128 << 20, "processes": 64}
    bound([str(tmp_path)], limits, disk_in_memory=False)
    assert (tmp_path / "memory.max").read_text() == str(544 << 20)
    assert (tmp_path / "memory.swap.max").read_text() == "0"
    assert (tmp_path / "pids.max").read_text() == "65"
    bound([str(tmp_path)], limits, disk_in_memory=True)
    assert (tmp_path / "memory.max").read_text() == str(672 << 20)
    group = Cgroup([str(tmp_path)])
    assert (group.version, group.oom_kills(), group.tasks()) == (2, 3, 7)
    group.join()
    assert (tmp_path / "cgroup.procs").read_text() == "0"
    group.close()


def test_only_groups_of_dead_owners_are_stale(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "/")
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    names = {
        "living": f"swe-agent-{namespace}-{OWNER}-5-0",
        "dead": f"swe-agent-{namespace}-{os.getpid()}-1-5-0",
        "elsewhere": f"swe-agent-1-{os.getpid()}-1-5-0",
        "other": "swe-agent-sandboxes",
    }
    for name in names.values():
        (machine.top / name).mkdir()
    place = machine.find()
    assert place.stale() == [str(machine.top / names["dead"])]
    place.remove_stale()
    assert {entry.name for entry in machine.top.iterdir() if entry.is_dir()} == {
        names["living"], names["elsewhere"], names["other"]
    }  # fmt: skip


def test_a_real_group_of_version_two_is_emptied_and_removed() -> None:
    import subprocess

    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    point = next((line[1] for line in lines if line[2] == "cgroup2"), None)
    own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip()
    if point is None or not os.access(f"{point}{own}", os.W_OK):
        pytest.skip("no cgroup v2 that may be written")
    folder = Path(f"{point}{own}", f"swe-agent-test-{os.getpid()}")
    folder.mkdir()
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        (folder / "cgroup.procs").write_text(str(sleeper.pid))
        assert not remove([str(folder)], rounds=1)
        kill(str(folder))
        assert sleeper.wait(10) == -9
    assert remove([str(folder)])
    assert not folder.exists()
