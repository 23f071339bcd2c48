"""Pictures of an issue: fetched once, made small, kept in the run by hash.

They are fetched only for models that take images. An address comes from whoever wrote the issue, so only
public hosts are asked, no redirect leads elsewhere, and what comes is decoded and written anew before
anything else sees it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import ipaddress
import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

LARGEST_EDGE = 1568
"""Pixels. Providers scale larger pictures down themselves."""
MOST = 8
MOST_BYTES = 5 << 20
"""Of all pictures of an issue together, as they are sent before base64."""
_DOWNLOAD = 20 << 20
_MOST_PIXELS = 64_000_000
_TIMEOUT_S = 20.0
_REDIRECTS = 3


class PictureError(Exception):
    """Why a picture is named and not shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the issue. Without `sha256` it could not be had, and `problem` says why."""

    url: str
    sha256: str | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of an issue, in the order in which it shows them."""

    items: tuple[Picture, ...] = ()
    folder: Path | None = None

    @property
    def urls(self) -> dict[str, str]:
        """`sha256:<hex>` → data URL, of those that were had."""
        found: dict[str, str] = {}
        for item in self.items:
            if item.sha256 and self.folder:
                data = base64.b64encode((self.folder / item.sha256).read_bytes()).decode()
                found[f"sha256:{item.sha256}"] = f"data:{item.media_type};base64,{data}"
        return found

    def named(self, *, seen: bool) -> str:
        """What a prompt says of them: of all where the model sees none, else of those that are missing."""
        missing = [item for item in self.items if not seen or item.sha256 is None]
        if not missing:
            return ""
        lines = [f"- {_shown(item.url)}" + (f" ({item.problem})" if item.problem else "") for item in missing]
        return "Pictures of the issue that you cannot see:\n" + "\n".join(lines)


def load_pictures(
    urls: Sequence[str], folder: Path, *, fetch: bool = True, private: bool = False
) -> Pictures:
    """The pictures at `urls`; blocking. What `folder` holds of an earlier look counts, so a resumed run sends
    the same. Without `fetch` they are named only. `private` allows hosts that are not public."""
    names = tuple(dict.fromkeys(urls))
    if not names:
        return Pictures()
    index = folder / "index.json"
    if index.exists():
        return Pictures(tuple(Picture(**item) for item in json.loads(index.read_text("utf-8"))), folder)
    if not fetch:
        return Pictures(tuple(Picture(url) for url in names))
    folder.mkdir(parents=True, exist_ok=True)
    items: list[Picture] = []
    left = MOST_BYTES
    for number, url in enumerate(names):
        try:
            if number >= MOST:
                raise PictureError(f"only the first {MOST} are shown")
            item, data = _picture(url, _read(url, private=private))
            if len(data) > left:
                raise PictureError(f"more than {MOST_BYTES >> 20} MiB of pictures")
            left -= len(data)
            (folder / str(item.sha256)).write_bytes(data)
            items.append(item)
        except PictureError as error:
            items.append(Picture(url, problem=str(error)))
    draft = index.with_name("index.json.new")
    draft.write_text(json.dumps([asdict(item) for item in items], indent=1) + "\n", "utf-8")
    draft.replace(index)
    return Pictures(tuple(items), folder)


def _picture(url: str, data: bytes) -> tuple[Picture, bytes]:
    """Decode, scale and encode anew: PNG where that is smaller or it is transparent, else JPEG."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP", "BMP")) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise PictureError(f"{image.width} x {image.height} pixels are too many")
            image.seek(0)
            clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            whole = image.convert("RGBA" if clear else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError("it is no PNG, JPEG, GIF, WebP or BMP") from error
    whole.thumbnail((LARGEST_EDGE, LARGEST_EDGE))
    forms = {"image/png": _encoded(whole, "PNG")}
    if not clear:
        forms["image/jpeg"] = _encoded(whole, "JPEG")
    kind, best = min(forms.items(), key=lambda form: len(form[1]))
    digest = hashlib.sha256(best).hexdigest()
    return Picture(url, digest, kind, whole.width, whole.height, len(best)), best


def _encoded(image: object, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, optimize=True)  # type: ignore[attr-defined]
    return buffer.getvalue()


def _read(url: str, *, private: bool) -> bytes:
    if url.startswith("data:"):
        head, _, body = url.partition(",")
        if not head.endswith(";base64"):
            raise PictureError("its data: address is not base64")
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise PictureError("its data: address is not base64") from error
    return _fetch(url, private=private)


def _fetch(url: str, *, private: bool) -> bytes:
    import httpx

    try:
        with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=not private) as client:
            for _ in range(_REDIRECTS + 1):
                _check_host(url, private=private)
                with client.stream("GET", url, headers={"Accept": "image/*"}) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers.get("location", ""))
                        continue
                    if answer.status_code != 200:
                        raise PictureError(f"its host answered {answer.status_code}")
                    return _body(answer.iter_bytes())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PictureError(f"it cannot be fetched: {type(error).__name__}") from error
    raise PictureError("its host sends from one place to the next")


def _body(chunks: Iterable[bytes]) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > _DOWNLOAD:
            raise PictureError(f"it is larger than {_DOWNLOAD >> 20} MiB")
    return bytes(data)


def _check_host(url: str, *, private: bool) -> None:
    """Raises: PictureError unless the address is a web address of a public host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PictureError("its address is not on the web")
    if private:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PictureError("its host is not known") from error
    if not all(ipaddress.ip_address(entry[4][0]).is_global for entry in found):
        raise PictureError("its host is not public")


def _shown(url: str) -> str:
    return url if len(url) <= 200 else url[:80] + "..."
