"""One process of pytest sessions: it imports pytest, sleeps, and each run is a fork that begins a session
(see swe_agent_freezer). Python 3.6 or newer."""

import os
import sys
import tempfile

import swe_agent_wire as wire

OUTPUT_FD = 250
OUTPUT_BYTES = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))


def session(setup, registry, sock):
    """The first frozen process and, in its forks, the sessions. Never returns."""
    status = 1
    freezer = None
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        with tempfile.TemporaryFile() as file:
            for fd in (1, 2, OUTPUT_FD):
                os.dup2(file.fileno(), fd)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in (registry.fileno(), sock.fileno(), OUTPUT_FD):
                try:
                    os.close(int(name))
                except OSError:
                    pass
        import pytest
        import swe_agent_pytest as plugin
        import swe_agent_report as shared
        from swe_agent_freezer import Freezer

        plugin.prepare(setup["root"], setup["bytecode"], setup["shared_bytecode"])
        freezer = Freezer(os.path.realpath(setup["root"]), registry, OUTPUT_FD)
        watched = freezer.watch()
        for name, value in setup["restore"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
        sys.path[0:0] = setup["path"]
        sys.argv[:] = setup["argv"]

        def resume(folder):
            plugin.resume(folder)

        def at(reason):
            if reason == "collected":
                if not freezer.fresh_met:
                    freezer.checkpoint(reason)
                freezer.finish()
                plugin.State.report.remember = False
                return
            if not freezer.fresh_met:
                freezer.checkpoint(reason)
            if reason == "session":
                freezer.before = set(sys.modules)
                freezer.environ = dict(os.environ)
                wanted = freezer.go.get("preload")
                if wanted:
                    freezer.go["preload"] = []
                    if freezer.preload(wanted):
                        freezer.checkpoint("preloaded")

        freezer.resume = resume
        freezer.bound = lambda: plugin.State.selected
        shared.Report.remember = True
        wire.send(sock, {"tops": sorted({name.partition(".")[0] for name in sys.modules})})
        freezer.sleep(sock)
        freezer.open = watched
        plugin.State.checkpoint = at if watched else None
        os.environ.pop("SWE_AGENT_TESTS", None)
        status = int(pytest.main(setup["arguments"], plugins=[plugin]))
        plugin.State.flags(freezer)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 70
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            os.lseek(OUTPUT_FD, 0, os.SEEK_SET)
            folder = plugin.State.request.folder
            with open(os.path.join(folder, "output.log"), "wb") as file:
                size = os.fstat(OUTPUT_FD).st_size
                os.lseek(OUTPUT_FD, max(0, size - OUTPUT_BYTES), os.SEEK_SET)
                file.write(os.read(OUTPUT_FD, OUTPUT_BYTES))
            freezer.finished(status & 0xFF)
        finally:
            os._exit(status & 0xFF)
