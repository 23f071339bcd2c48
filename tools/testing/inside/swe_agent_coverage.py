"""Which lines of the repository's files each test executes: sys.monitoring where Python has it, else
sys.settrace. Runs under the repository's Python (3.6 or newer)."""

import os
import sys

_TOOL = 4
_MAX_LINES = 200000


class Tracer:
    """Lines executed between `begin` and `end`, for files below `root` only."""

    def __init__(self, root):
        self.prefix = root.rstrip(os.sep) + os.sep
        self.hits = {}
        self.ours = {}
        self.monitoring = getattr(sys, "monitoring", None)
        if self.monitoring is not None:
            try:
                self.monitoring.use_tool_id(_TOOL, "swe-agent")
                self.monitoring.register_callback(_TOOL, self.monitoring.events.LINE, self._line)
            except ValueError:
                self.monitoring = None

    def begin(self):
        self.hits = {}
        if self.monitoring is not None:
            self.monitoring.restart_events()
            self.monitoring.set_events(_TOOL, self.monitoring.events.LINE)
        else:
            sys.settrace(self._call)
            import threading

            threading.settrace(self._call)

    def end(self):
        """{path relative to the root: sorted line numbers}."""
        if self.monitoring is not None:
            self.monitoring.set_events(_TOOL, 0)
        else:
            sys.settrace(None)
            import threading

            threading.settrace(None)
        return {name: sorted(lines) for name, lines in self.hits.items()}

    def _path(self, code):
        name = code.co_filename
        path = self.ours.get(name)
        if path is None:
            inside = name.startswith(self.prefix) and "/.git/" not in name
            path = self.ours[name] = name[len(self.prefix) :] if inside else ""
        return path

    def _line(self, code, number):
        path = self._path(code)
        if path:
            self.hits.setdefault(path, set()).add(number)
        # Once is enough until the next test restarts the events.
        return self.monitoring.DISABLE

    def _call(self, frame, event, argument):
        path = self._path(frame.f_code)
        if not path:
            return None
        lines = self.hits.setdefault(path, set())

        def line(frame, event, argument):
            if event == "line":
                lines.add(frame.f_lineno)
            return line

        return line
