"""The engine as one file that the target's interpreter can run."""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from pathlib import Path

_NAME = "swe_offline_engine"
_MAIN = f"import sys\nfrom {_NAME}.session import main\nsys.path.pop(0)\nsys.exit(main(sys.argv[1]))\n"


@lru_cache(maxsize=1)
def engine_archive() -> bytes:
    """A zip application of the standard library alone; the same bytes for the same sources."""
    folder = Path(__file__).parent / "engine"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in [
            ("__main__.py", _MAIN),
            *(
                (f"{_NAME}/{path.relative_to(folder).as_posix()}", path.read_text("utf-8"))
                for path in sorted(folder.rglob("*.py"))
            ),
        ]:
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()
