"""The diff that undoes a diff."""

from __future__ import annotations

import re

from ...tools.errors import UsageError

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_LOST = ("rename from ", "copy from ", "GIT binary patch", "Binary files ", "old mode ")


def reverse_diff(text: str, *, where: str = "the patch") -> str:
    """The unified diff that undoes `text`. Raises: UsageError for renames, modes and binary hunks."""
    out: list[str] = []
    source = ""
    old = new = 0  # lines left of the hunk: only there may a line start with `--- ` and be content
    for line in text.splitlines(keepends=True):
        if old > 0 or new > 0:
            old -= line[:1] in " -\n"
            new -= line[:1] in " +\n"
            out.append({"+": "-", "-": "+"}.get(line[0], line[0]) + line[1:])
        elif found := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in (found[2], found[4]))
            before, after = line.split(" ")[1:3]
            rest = line.split("@@", 2)[2]
            out.append(f"@@ -{after[1:]} +{before[1:]} @@{rest}")
        elif line.startswith("--- "):
            source = line[4:]
        elif line.startswith("+++ "):
            out += [f"--- {_other_side(line[4:], 'b/', 'a/')}", f"+++ {_other_side(source, 'a/', 'b/')}"]
        elif line.startswith("new file mode"):
            out.append(line.replace("new file mode", "deleted file mode"))
        elif line.startswith("deleted file mode"):
            out.append(line.replace("deleted file mode", "new file mode"))
        elif line.startswith(_LOST):
            raise UsageError(f"{where} cannot be taken back: it holds {line.strip()!r}")
        elif not line.startswith("index "):
            out.append(line)
    return "".join(out)


def _other_side(name: str, old: str, new: str) -> str:
    return new + name[len(old) :] if name.startswith(old) else name
