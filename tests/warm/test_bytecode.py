"""What is taken out of a sandbox's archive of compiled modules, and what is not."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from swe_agent.tools.testing.warm.bytecode import unpack


def archive(*members: tuple[str, bytes, bytes]) -> bytes:
    """A tar archive of (name, type, content or target)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.size = len(content) if kind == tarfile.REGTYPE else 0
            entry.linkname = "" if kind == tarfile.REGTYPE else content.decode()
            tar.addfile(entry, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return packed.getvalue()


def test_only_plain_modules_with_plain_names_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    plain = tarfile.REGTYPE
    unpack(
        archive(
            ("pycache/pkg/__pycache__/a.cpython-311.pyc", plain, b"a"),
            ("pycache/../../escaped.pyc", plain, b"x"),
            ("/absolute.pyc", plain, b"x"),
            ("pycache//root.pyc", plain, b"r"),
            ("other/b.pyc", plain, b"x"),
            ("pycache/notes.txt", plain, b"x"),
            ("pycache/link", tarfile.SYMTYPE, str(tmp_path).encode()),
            ("pycache/link/through.pyc", plain, b"t"),
            ("pycache/hard.pyc", tarfile.LNKTYPE, b"/etc/passwd"),
            ("pycache/fifo.pyc", tarfile.FIFOTYPE, b""),
        ),
        folder,
    )
    taken = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert taken == {
        "kept/pkg/__pycache__/a.cpython-311.pyc": b"a",
        "kept/root.pyc": b"r",
        "kept/link/through.pyc": b"t",
    }


def test_an_archive_is_neither_decompressed_nor_trusted(tmp_path: Path) -> None:
    bomb = gzip.compress(archive(("pycache/bomb.pyc", tarfile.REGTYPE, bytes(256 << 20))), 1)
    assert len(bomb) < 2 << 20
    whole = archive(("pycache/a.pyc", tarfile.REGTYPE, b"a" * 4096))
    clash = archive(
        ("pycache/x.pyc", tarfile.REGTYPE, b"x"),
        ("pycache/x.pyc/y.pyc", tarfile.REGTYPE, b"y"),
        ("pycache/" + "n" * 400 + ".pyc", tarfile.REGTYPE, b"n"),
        ("pycache/z.pyc", tarfile.REGTYPE, b"z"),
    )
    for number, odd in enumerate((bomb, b"", b"no archive", whole[:1000], clash)):
        folder = tmp_path / str(number)
        folder.mkdir()
        unpack(odd, folder)
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1 << 20
    assert {path.name for path in (tmp_path / "4").iterdir()} == {"x.pyc", "z.pyc"}
