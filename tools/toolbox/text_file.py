"""TextFile: bytes as text, in a way that gives the same bytes back."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import ToolError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class TextFile:
    """The decoded contents of a file; `encode` is the exact inverse of `decode`.

    People and models see `text`, whose lines end in a line feed; `raw` keeps the file's own endings.
    """

    raw: str
    encoding: str = "utf-8"
    errors: str = "strict"
    bom: bytes = b""

    @classmethod
    def decode(cls, data: bytes, path: str = "the file") -> TextFile:
        """UTF-8, or what a byte order mark or a Python coding cookie says, else Latin-1.
        Raises: ToolError when the contents are binary."""
        for bom, encoding in _BOMS:
            if data.startswith(bom):
                try:
                    return cls(data[len(bom) :].decode(encoding), encoding, bom=bom)
                except UnicodeDecodeError:
                    break
        if b"\0" in data:
            raise ToolError(f"{path} is a binary file ({len(data):,} bytes); it cannot be shown or edited")
        cookie = _cookie(data) if path.endswith((".py", ".pyi")) else None
        if cookie is not None:
            try:
                file = cls(data.decode(cookie), cookie)
                if file.encode() == data:
                    return file
            except (UnicodeError, LookupError):
                pass
        try:
            return cls(data.decode("utf-8"))
        except UnicodeDecodeError:
            pass
        lenient = data.decode("utf-8", "surrogateescape")
        stray = sum("\udc80" <= char <= "\udcff" for char in lenient)
        if sum(char > "\x7f" for char in lenient) - stray > stray:
            return cls(lenient, "utf-8", "surrogateescape")
        return cls(data.decode("latin-1"), "latin-1")

    def encode(self) -> bytes:
        """The bytes of the file. Raises: ToolError when a character does not exist in its encoding."""
        try:
            return self.bom + self.raw.encode(self.encoding, self.errors)
        except UnicodeEncodeError as error:
            char = self.raw[error.start]
            raise ToolError(
                f"the file is encoded in {self.encoding}, which has no character {char!r} "
                f"(U+{ord(char):04X}); use an escape instead"
            ) from error

    @cached_property
    def text(self) -> str:
        """The contents with every CR LF shown as LF."""
        return self.raw.replace("\r\n", "\n")

    @cached_property
    def newline(self) -> str:
        """The line ending that most lines have."""
        crlf = self.raw.count("\r\n")
        return "\r\n" if crlf * 2 > self.raw.count("\n") else "\n"

    @property
    def mixed(self) -> bool:
        """Some lines end in CR LF and some in LF."""
        return 0 < self.raw.count("\r\n") < self.raw.count("\n")

    @property
    def lines(self) -> list[str]:
        """Lines without their endings; a final line feed does not begin another line."""
        parts = self.text.split("\n")
        return parts[:-1] if parts[-1] == "" else parts

    @cached_property
    def _crlf(self) -> list[int]:
        return [match.start() - n for n, match in enumerate(re.finditer("\r\n", self.raw))]

    def splice(self, spans: Sequence[tuple[int, int]], new: str) -> TextFile:
        """Replace `text[start:end]` for each of the ascending, disjoint spans. Every byte outside stays as
        it was; the line ends of `new` become those of the part replaced, or else those of most lines."""
        fresh = new.replace("\r\n", "\n")
        pieces: list[str] = []
        done = 0
        for span in spans:
            first, last = (index + bisect_left(self._crlf, index) for index in span)
            gone = self.raw[first:last]
            ending = ("\r\n" if "\r\n" in gone else "\n") if "\n" in gone else self.newline
            pieces += [self.raw[done:first], fresh if ending == "\n" else fresh.replace("\n", ending)]
            done = last
        return replace(self, raw="".join([*pieces, self.raw[done:]]))

    def with_text(self, text: str) -> TextFile:
        """The same kind of file (encoding, mark, line ends) with other contents."""
        return replace(self, raw=text.replace("\r\n", "\n").replace("\n", self.newline))

    @property
    def traits(self) -> list[str]:
        """What is unusual about the file, in words."""
        found: list[str] = []
        if self.bom:
            found.append(f"{self.encoding} with a byte order mark")
        elif self.encoding != "utf-8":
            found.append(self.encoding)
        if self.errors != "strict":
            found.append("some bytes are not UTF-8")
        if self.mixed:
            found.append("mixed line endings")
        elif self.newline == "\r\n":
            found.append("CRLF line endings")
        if self.raw and not self.raw.endswith("\n"):
            found.append("no newline at the end")
        return found


def _cookie(data: bytes) -> str | None:
    """The encoding that a Python source names in its first two lines (PEP 263)."""
    head = b"".join(data.splitlines(keepends=True)[:2])
    if b"coding" not in head:
        return None
    try:
        return tokenize.detect_encoding(io.BytesIO(head).readline)[0]
    except SyntaxError:
        return None
