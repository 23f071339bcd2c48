"""PackageIndex: the package indexes of the host, read as data (simple repository API, PEP 503, 691, 700).

The only network of a build: names go out, files come in. Credentials, proxies and certificates stay on the
host. Files are kept by the hash that the index gives and checked against it. Releases after a cut-off date
are not shown, so every installer keeps to it, pip of any age included.
"""

from __future__ import annotations

import hashlib
import html
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import canonicalize_name

from ..errors import ProjectError
from ..proxies import certificates

if TYPE_CHECKING:
    import ssl

JSON = "application/vnd.pypi.simple.v1+json"
_MOST_BYTES = 8 << 30
_PAGE_BYTES = 64 << 20


class IndexUnreachable(ProjectError):
    """An index does not answer: that says nothing about a package."""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project, as a page of an index lists it."""

    name: str
    url: str
    sha256: str = ""
    uploaded: str = ""
    """RFC 3339; "" when the index does not say."""
    requires_python: str = ""
    yanked: bool | str = False
    metadata: bool | dict[str, str] = False
    """Whether its metadata can be had by itself (PEP 658), or its hashes."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where packages come from."""

    indexes: tuple[str, ...]
    """Simple indexes; the first is the main one. `file:` folders count."""
    find_links: tuple[Path, ...] = ()
    """Local folders of files."""


def index_settings(environ: Mapping[str, str] = os.environ) -> IndexSettings:
    """What the host is set up with: variables of uv and pip, then pip's configuration, else pip's default."""
    values = dict(_pip_configuration())

    def words(*names: str) -> list[str]:
        return [word for name in names for word in environ.get(name, "").split()]

    main = words("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")[:1]
    main = main or values.get("index-url", "").split()[:1] or [_pip_default()]
    extra = words("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")
    extra = [word.split("=", 1)[-1] if re.match(r"[\w-]+=\w+:", word) else word for word in extra]
    links = words("UV_FIND_LINKS", "PIP_FIND_LINKS") + values.get("find-links", "").split()
    folders = [Path(unquote(urlsplit(link).path)) for link in links if urlsplit(link).scheme in ("", "file")]
    indexes = [*main, *extra, *values.get("extra-index-url", "").split()]
    return IndexSettings(
        tuple(dict.fromkeys(indexes)), tuple(dict.fromkeys(f for f in folders if f.is_dir()))
    )


@cache
def _pip_configuration() -> tuple[tuple[str, str], ...]:
    if importlib.util.find_spec("pip") is None:
        return ()
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd="/", check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in ("global", "install") and value[:1] in "'\"":
            found[key] = " ".join(shlex.split(value)).replace("\\n", " ")
    return tuple(found.items())


def _pip_default() -> str:
    try:
        from pip._internal.models.index import PyPI
    except ImportError as error:
        raise ProjectError("no package index is known: set PIP_INDEX_URL, or install pip") from error
    return PyPI.simple_url


def _certificates() -> ssl.SSLContext:
    """Those that pip, requests or httpx would take; what a variable names and is not there does not count."""
    named = (os.environ.get(name, "") for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))
    file = next((path for path in named if Path(path).is_file()), None)
    folder = os.environ.get("SSL_CERT_DIR", "")
    return certificates(file, folder if not file and folder and Path(folder).is_dir() else None)


class PackageIndex:
    """The host's indexes as one. Safe for many threads."""

    def __init__(self, settings: IndexSettings, store: Path) -> None:
        """`store` is the folder of downloaded files."""
        import httpx

        self._settings = settings
        self._store = store
        self._client = httpx.Client(
            timeout=httpx.Timeout(120, connect=20),
            follow_redirects=True,
            verify=_certificates(),
            headers={"User-Agent": "swe-agent"},
        )
        self._pages: dict[str, list[IndexFile] | None] = {}
        self.files: dict[str, IndexFile] = {}
        """By the token under which a file is shown."""
        self.unreachable = ""
        """The index that did not answer, if any."""

    def project(self, name: str, until: str | None = None) -> list[IndexFile] | None:
        """The files of a project, none uploaded after the date `until`; None when no index knows it.
        Raises: IndexUnreachable."""
        key = canonicalize_name(name)
        if key not in self._pages:
            self._pages[key] = self._all(key)
        files = self._pages[key]
        if files is None or until is None:
            return files
        last = _day_after(until)
        return [file for file in files if file.uploaded and _moment(file.uploaded) < last]

    def _all(self, name: str) -> list[IndexFile] | None:
        found: dict[str, IndexFile] = {}
        known = False
        for index in self._settings.indexes:
            page = self._page(f"{index.rstrip('/')}/{name}/")
            known = known or page is not None
            for file in page or ():
                found.setdefault(file.name, file)
        for folder in self._settings.find_links:
            for path in folder.iterdir():
                if canonicalize_name(re.split(r"-\d", path.name)[0]) == name and path.is_file():
                    known = True
                    found.setdefault(path.name, IndexFile(path.name, path.as_uri()))
        return list(found.values()) if known else None

    def _page(self, url: str) -> list[IndexFile] | None:
        if url.startswith("file:"):
            folder = Path(unquote(urlsplit(url).path))
            page = folder / "index.html"
            if page.is_file():
                return _html_files(page.read_text("utf-8", "replace"), url)
            files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
            return [IndexFile(path.name, path.as_uri()) for path in files] or None
        done = self._get(url, {"Accept": f"{JSON}, text/html;q=0.1"})
        if done.status_code in (404, 403, 410):
            return None
        if done.status_code != 200 or len(done.content) > _PAGE_BYTES:
            self._fail(url, f"status {done.status_code}")
        if "json" not in done.headers.get("content-type", "") and not done.text.lstrip().startswith("{"):
            return _html_files(done.text, str(done.url))
        try:
            return [_json_file(entry, str(done.url)) for entry in json.loads(done.text)["files"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            self._fail(url, "an answer that is no page of an index")

    def _get(self, url: str, headers: Mapping[str, str]) -> Any:
        import httpx

        for last in (False, False, True):
            try:
                return self._client.get(url, headers=dict(headers))
            except httpx.HTTPError as error:
                if last:
                    self._fail(url, str(error) or type(error).__name__)

    def _fail(self, url: str, why: str) -> Any:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        self.unreachable = shown
        raise IndexUnreachable(f"the package index cannot be reached ({shown}): {why}")

    def fetch(self, token: str, *, metadata: bool = False) -> Path | None:
        """The file (or its metadata) on the host's disk. Raises: IndexUnreachable."""
        file = self.files.get(token)
        if file is None:
            return None
        url = file.url + (".metadata" if metadata else "")
        if url.startswith("file:"):
            path = Path(unquote(urlsplit(url).path))
            return path if path.is_file() else None
        place = self._store / (file.sha256 or token) / (file.name + (".metadata" if metadata else ""))
        if not place.is_file():
            self._download(url, place, "" if metadata else file.sha256)
        return place

    def _download(self, url: str, place: Path, sha256: str) -> None:
        import httpx

        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.{os.getpid()}.{id(place)}")
        digest, size = hashlib.sha256(), 0
        try:
            with self._client.stream("GET", url) as answer, draft.open("wb") as file:
                if answer.status_code != 200:
                    self._fail(url, f"status {answer.status_code}")
                for chunk in answer.iter_raw():
                    size += len(chunk)
                    if size > _MOST_BYTES:
                        self._fail(url, "a file of more than 8 GiB")
                    digest.update(chunk)
                    file.write(chunk)
            if sha256 and digest.hexdigest() != sha256:
                self._fail(url, "the file does not have the hash that the index gives")
            draft.replace(place)
        except httpx.HTTPError as error:
            self._fail(url, str(error) or type(error).__name__)
        finally:
            draft.unlink(missing_ok=True)

    def shown(self, file: IndexFile) -> IndexFile:
        """The file as a build sees it: below an address of the relay."""
        token = hashlib.sha256(file.url.encode()).hexdigest()[:40]
        self.files[token] = file
        return replace(file, url=f"/files/{token}/{file.name}")

    def close(self) -> None:
        self._client.close()


def page_json(name: str, files: Iterable[IndexFile]) -> str:
    """A project's page (PEP 691 and 700)."""
    entries: list[dict[str, object]] = []
    for file in files:
        entry: dict[str, object] = {"filename": file.name, "url": file.url, "yanked": file.yanked}
        entry["hashes"] = {"sha256": file.sha256} if file.sha256 else {}
        entry["core-metadata"] = file.metadata
        entry |= {"requires-python": file.requires_python} if file.requires_python else {}
        entry |= {"upload-time": file.uploaded} if file.uploaded else {}
        entries.append(entry)
    return json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": entries})


def page_html(files: Iterable[IndexFile]) -> str:
    """A project's page for installers that know no other."""
    lines: list[str] = []
    for file in files:
        requires = (
            f' data-requires-python="{html.escape(file.requires_python)}"' if file.requires_python else ""
        )
        mark = f"#sha256={file.sha256}" if file.sha256 else ""
        yanked = ' data-yanked=""' if file.yanked is not False else ""
        lines.append(
            f'<a href="{html.escape(file.url)}{mark}"{requires}{yanked}>{html.escape(file.name)}</a><br>'
        )
    return "<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "\n</body></html>\n"


def _json_file(entry: Mapping[str, Any], page: str) -> IndexFile:
    metadata = entry.get("core-metadata", entry.get("data-dist-info-metadata", False))
    return IndexFile(
        entry["filename"],
        urljoin(page, entry["url"]),
        (entry.get("hashes") or {}).get("sha256", ""),
        entry.get("upload-time") or "",
        entry.get("requires-python") or "",
        entry.get("yanked", False),
        metadata,
    )


class _Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.files: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag != "a" or not (href := found.get("href")):
            return
        url, _, mark = urljoin(self.page, href).partition("#")
        name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        sha256 = mark.removeprefix("sha256=") if mark.startswith("sha256=") else ""
        yanked = "data-yanked" in found and (found["data-yanked"] or True)
        requires = found.get("data-requires-python") or ""
        self.files.append(IndexFile(name, url, sha256, "", requires, yanked))


def _html_files(text: str, page: str) -> list[IndexFile]:
    parser = _Links(page)
    parser.feed(text)
    return [file for file in parser.files if file.name]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _day_after(until: str) -> datetime:
    """The first moment that is too late: a date counts to its end."""
    if len(until) == 10:
        return datetime.fromisoformat(until + "T00:00:00+00:00") + timedelta(days=1)
    moment = _moment(until)
    return moment if moment.tzinfo else datetime.fromisoformat(until + "+00:00")
