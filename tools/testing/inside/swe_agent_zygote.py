"""The warm runner inside the sandbox: keeps pytest sessions frozen and continues them for each run.

    python swe_agent_zygote.py FOLDER

Reads one JSON object a line from stdin, answers with one a line on stdout. The coordinator imports nothing
of the repository; the first frozen process has imported pytest, everything else is frozen on the way of
real runs (see swe_agent_freezer).
"""

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import swe_agent_wire as wire  # noqa: E402
from swe_agent_session import OUTPUT_BYTES, OUTPUT_FD, session  # noqa: E402
from swe_agent_tree import Tree  # noqa: E402

MAX_SLEEPERS = 24
_PR_SET_CHILD_SUBREAPER = 36
_CONFIGURATION = {
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py",
    "conftest.py", "sitecustomize.py", "usercustomize.py",
}  # fmt: skip
_IMPORTABLE = (".py", ".so", ".pyc", ".pth")


class Sleeper:
    """A frozen process, seen from the coordinator."""

    def __init__(self, sock, message, age):
        self.sock = sock
        self.pid = message["pid"]
        self.key = message["key"]
        self.touched = message["touched"]
        self.shape = message["shape"]
        self.reason = message["checkpoint"]
        self.tops = set(message["tops"])
        self.depth = (self.key is not None, len(self.touched), age)
        self.used = age

    def fits(self, key, state, shape):
        if self.key is not None and self.key != key:
            return False
        if self.shape != shape and not self.indifferent(shape):
            return False
        return all(state.get(path) == known for path, known in self.touched.items())

    def indifferent(self, shape):
        """Whether a session that has not looked at any test can ignore that files came or went: they
        neither configure pytest nor hide a module that is imported already."""
        if self.reason not in ("imported", "session", "preloaded"):
            return False
        for path in {p for p in set(shape) | set(self.shape) if shape.get(p) != self.shape.get(p)}:
            parts = path.split("/")
            if parts[-1] in _CONFIGURATION and self.reason != "imported":
                return False
            if path.endswith(_IMPORTABLE) and self.tops & {part.partition(".")[0] for part in parts}:
                return False
        return True


class Coordinator:
    def __init__(self, setup):
        self.setup = setup
        self.tree = Tree(setup["root"])
        self.sleepers = []
        self.age = 0
        self.previous = {}
        self.dependencies = []
        self.preloaded = False
        self.left = None
        self.pending = None
        self.registry, self.registry_in = socket.socketpair()

    def boot(self):
        """Fork the first frozen process: pytest imported, no session begun."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self.registry.close()
            session(self.setup, self.registry_in, theirs)
        theirs.close()
        message, _ = wire.receive(ours)
        if message is None:
            sys.exit("pytest cannot be imported")
        state = {"pid": pid, "key": None, "touched": {}, "shape": {}, "checkpoint": "imported"}
        first = Sleeper(ours, dict(state, tops=message["tops"]), 0)
        self.sleepers.append(first)

    def run(self, order):
        state, key = order["state"], order["key"]
        os.makedirs(order["folder"])
        with open(os.path.join(order["folder"], "request.json"), "w") as file:
            json.dump(order["request"], file)
        self.tree.become(state, order["contents"])
        shape = {p: s for p, s in state.items() if s[1] != "M" or not p.endswith(".py")}
        fresh = [p for p, s in state.items() if self.previous.get(p) != s]
        fresh += [p for p in self.previous if p not in state]
        self.previous = state
        fitting = [s for s in self.sleepers if s.fits(key, state, shape)]
        if order.get("from") == "session":
            fitting = [s for s in fitting if s.reason in ("imported", "session")]
        if not fitting:
            return {"exit": None, "from": "", "why": "the change hides modules that are loaded already"}
        chosen = max(fitting, key=lambda s: s.depth)
        self.age += 1
        chosen.used = self.age
        go = {"folder": order["folder"], "state": state, "fresh": fresh, "key": key, "preload": []}
        if order.get("preload") and self.dependencies and not self.preloaded and chosen.reason == "session":
            go["preload"] = self.dependencies
            self.preloaded = True
        return self.follow(chosen, go, order["timeout"])

    def follow(self, chosen, go, timeout):
        """Start a run from a sleeper and wait for its end."""
        begun = time.time()
        answer = {"from": chosen.reason, "timed_out": False, "exit": None, "output": "", "report": ""}
        try:
            wire.send(chosen.sock, go)
        except OSError:
            self.drop(chosen)
            return {"exit": -1, "lost": True}
        pid, deadline = None, begun + timeout
        while answer["exit"] is None:
            left = max(0.0, deadline - time.time())
            ready = select.select([chosen.sock, self.registry], [], [], left)[0]
            if self.registry in ready:
                status = self.enrol()
                if status is not None:
                    answer["exit"], self.pending = status << 8, chosen
                    break
            elif chosen.sock in ready:
                message, _ = wire.receive(chosen.sock)
                if message is None:
                    answer["exit"], answer["lost"] = -1, True
                elif "pid" in message:
                    pid = message["pid"]
                else:
                    answer["exit"] = message["exit"]
            elif not answer["timed_out"]:
                answer["timed_out"] = True
                answer["output"] = tail_of(pid)
                deadline = time.time() + 30
                kill_group(pid)
            else:
                answer["exit"], answer["lost"] = -1, True
        while select.select([self.registry], [], [], 0)[0]:
            self.enrol()
        answer["duration"] = time.time() - begun
        for name, field in (("report.jsonl", "report"), ("output.log", "output")):
            try:
                with open(os.path.join(go["folder"], name), "rb") as file:
                    answer[field] = file.read().decode("utf-8", "replace")
            except OSError:
                pass
        flags = {}
        try:
            with open(os.path.join(go["folder"], "flags.json")) as file:
                flags = json.load(file)
        except (OSError, ValueError):
            pass
        self.dependencies = flags.get("dependencies") or self.dependencies
        answer["obstacle"] = flags.get("obstacle", "")
        self.left = go["folder"]
        if flags.get("wrote", True) or flags.get("spawned", True):
            answer["strangers"] = self.tree.strangers()[:20]
        if answer.get("lost"):
            self.drop(chosen)
        return answer

    def enrol(self):
        """Take one message of a run: a new sleeper, or the status it finished with (returned)."""
        message, fds = wire.receive(self.registry)
        if message is None:
            return None
        if "finished" in message:
            return message["finished"]
        sock = socket.socket(fileno=fds[0])
        born, _ = wire.receive(sock)
        if born is None:
            sock.close()
            return None
        self.age += 1
        if message["checkpoint"] == "preloaded":
            # What was frozen without the preloaded modules would only compete with what comes now.
            for sleeper in [s for s in self.sleepers if s.reason not in ("imported", "session")]:
                self.drop(sleeper)
        self.sleepers.append(Sleeper(sock, dict(message, pid=born["pid"]), self.age))
        while len(self.sleepers) > MAX_SLEEPERS:
            spare = [s for s in self.sleepers if s.reason not in ("imported", "session", "preloaded")]
            self.drop(min(spare or self.sleepers[1:], key=lambda s: s.used))
        return None

    def drop(self, sleeper):
        if sleeper in self.sleepers:
            self.sleepers.remove(sleeper)
        sleeper.sock.close()
        kill_group(sleeper.pid)
        try:
            os.kill(sleeper.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def forget_preloaded(self):
        """Preloading changed a verdict: drop what grew from it and do without."""
        keep = [s for s in self.sleepers if s.reason in ("imported", "session")]
        for sleeper in [s for s in self.sleepers if s not in keep]:
            self.drop(sleeper)
        self.preloaded = True
        self.dependencies = []

    def tidy(self):
        """After the answer, while nobody waits: nothing of the run is left."""
        if self.pending is not None:
            sleeper, self.pending = self.pending, None
            while True:
                ready = select.select([sleeper.sock], [], [], 10.0)[0]
                message = wire.receive(sleeper.sock)[0] if ready else None
                if message is None:
                    self.drop(sleeper)
                    break
                if "exit" in message:
                    break
        if self.left is not None:
            self.sweep()
            shutil.rmtree(self.left, ignore_errors=True)
            self.left = None

    def sweep(self):
        """Kill what outlived its run (it became our child) and reap the dead."""
        known = {s.pid for s in self.sleepers}
        for pid in children_of(os.getpid()):
            if pid not in known:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return


def children_of(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(name))
    return found


def kill_group(pid):
    if pid:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def tail_of(pid):
    try:
        with open("/proc/%d/fd/%d" % (pid or 0, OUTPUT_FD), "rb") as file:
            return file.read()[-OUTPUT_BYTES:].decode("utf-8", "replace")
    except OSError:
        return ""


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "setup.json")) as file:
        setup = json.load(file)
    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass
    coordinator = Coordinator(setup)
    coordinator.boot()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["op"] == "run":
            answer = coordinator.run(order)
        else:
            coordinator.forget_preloaded()
            answer = {}
        answer["sleepers"] = len(coordinator.sleepers)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        coordinator.tidy()


if __name__ == "__main__":
    main()
