"""A forge on loopback: GitHub's and GitLab's REST shapes over real HTTP, and real git repositories through
`git http-backend`.

    with ForgeServer(tmp_path) as forge:
        forge.add_repository("octo/demo", {"a.py": "x = 1\n"})
        forge.add_issue("octo/demo", 7, title="It breaks", comments=["me too"] * 150)
        fetch_issue(forge.issue_url("octo/demo", 7))

`forge.seen` lists every request (method, path, headers) in order.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from forges.answer import Answer
from forges.git import git
from forges.github import GitHub
from forges.gitlab import GitLab


@dataclass
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None


class ForgeServer:
    """The server. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "forge"
        self.folder.mkdir(parents=True)
        self.seen: list[Seen] = []
        self.answers: dict[str, list[Answer]] = {}
        """API path (below /api/v3 or /api/v4) → answers that come before the real one, in order."""
        self.issues: dict[tuple[str, int], dict[str, Any]] = {}
        self.comments: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.timelines: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.repositories: dict[str, dict[str, Any]] = {}
        self.pulls: dict[str, list[dict[str, Any]]] = {}
        self.private: dict[str, str] = {}
        """Repository → the token without which it is not there."""
        self.pushers: dict[str, set[str]] = {}
        """Repository → tokens that may push."""
        self.users: dict[str, str] = {}
        """Token → login."""
        self.roles: dict[tuple[str, str], str] = {}
        """(repository, login) → admin | write | read | none."""
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        """Id of a workflow run → its jobs."""
        server = self
        handler = type("Handler", (Handler,), {"forge": server})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def issue_url(self, repository: str, number: int) -> str:
        return f"{self.url}/{repository}/issues/{number}"

    def git_dir(self, repository: str) -> Path:
        return self.folder / f"{repository}.git"

    def add_repository(
        self, path: str, files: Mapping[str, str] | None = None, *, source: Path | None = None
    ) -> str:
        """Create a repository from files (one commit) or as a mirror of `source`; returns its head."""
        git_dir = self.git_dir(path)
        git_dir.parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            git("clone", "-q", "--bare", str(source), str(git_dir))
        else:
            git("init", "-q", "--bare", "-b", "main", str(git_dir))
        for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant", "http.receivepack"):
            git("-C", str(git_dir), "config", setting, "true")
        if files is not None:
            self.commit(path, files)
        branch = git("-C", str(git_dir), "symbolic-ref", "--short", "HEAD").strip()
        self.repositories[path] = {
            "full_name": path,
            "default_branch": branch,
            "id": len(self.repositories) + 1,
        }
        return self.head(path)

    def commit(self, path: str, files: Mapping[str, str], message: str = "commit") -> str:
        """Commit files on top of the default branch; returns the new head."""
        work = self.folder / "work" / path
        if not work.exists():
            work.parent.mkdir(parents=True, exist_ok=True)
            git("clone", "-q", str(self.git_dir(path)), str(work))
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        git("-C", str(work), "add", "-A")
        git("-C", str(work), "commit", "-q", "-m", message)
        git("-C", str(work), "push", "-q", "origin", "HEAD")
        return self.head(path)

    def head(self, path: str) -> str:
        return git("-C", str(self.git_dir(path)), "rev-parse", "HEAD").strip()

    def add_issue(
        self, repository: str, number: int, *, title: str = "A title", body: str | None = "A body",
        comments: list[str] | None = None, **fields: Any,
    ) -> None:  # fmt: skip
        key = (repository, number)
        self.issues[key] = {
            "number": number,
            "title": title,
            "body": body,
            "state": "open",
            "locked": False,
            "labels": [{"name": "bug"}],
            "assignees": [],
            "user": {"login": "reporter"},
            "comments": len(comments or []),
            "html_url": self.issue_url(repository, number),
            "repository_url": f"{self.url}/api/v3/repos/{repository}",
            **fields,
        }
        self.comments[key] = [
            {
                "id": n,
                "user": {"login": f"user{n}"},
                "body": text,
                "created_at": f"2024-01-01T00:{n % 60:02}:00Z",
            }
            for n, text in enumerate(comments or [])
        ]

    def answer(self, path: str, *answers: Answer) -> None:
        """Answer the next requests for an API path (`/repos/o/r/issues/1`) with these."""
        self.answers.setdefault(path, []).extend(answers)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def may_see(self, repository: str, token: str | None) -> bool:
        return self.private.get(repository) in (None, token)

    def fork(self, repository: str, token: str | None) -> Answer:
        login = self.users.get(token or "")
        if login is None:
            return Answer(401, {"message": "Requires authentication"})
        path = f"{login}/{repository.split('/')[1]}"
        if path not in self.repositories:
            self.add_repository(path, source=self.git_dir(repository))
            self.pushers[path] = {token or ""}
        return Answer(202, self.repository_json(path, token))

    def repository_json(self, path: str, token: str | None) -> dict[str, Any]:
        return {
            **self.repositories[path],
            "clone_url": f"{self.url}/{path}.git",
            "private": path in self.private,
            "permissions": {"pull": True, "push": token in self.pushers.get(path, set())},
        }


class Handler(BaseHTTPRequestHandler):
    forge: ForgeServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self._read_body()
        api = re.match(r"/api/(v3|v4)(/.*)", parts.path)
        self.forge.seen.append(Seen(self.command, self.path, dict(self.headers), body))
        if api:
            data = json.loads(body) if body else None
            answers = self.forge.answers.get(api[2])
            if answers:
                self._send(answers.pop(0))
                return
            api_of = GitHub if api[1] == "v3" else GitLab
            self._send(api_of(self.forge, self._token()).serve(api[2], parse_qs(parts.query), data))
        elif ".git/" in parts.path:
            self._git(parts.path, parts.query, body)
        else:
            self._send(Answer(404, {"message": "Not Found"}))

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _token(self) -> str | None:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            return base64.b64decode(value).decode().partition(":")[2]
        return value or None

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _git(self, path: str, query: str, body: bytes) -> None:
        """One request of git's smart HTTP protocol, carried out by `git http-backend` (a CGI program)."""
        repository = path.split(".git/")[0].lstrip("/")
        token = self._token()
        push = "git-receive-pack" in path + query
        allowed = (
            token in self.forge.pushers.get(repository, set())
            if push
            else self.forge.may_see(repository, token)
        )
        if repository not in self.forge.repositories:
            self._send(Answer(404, {"message": "Not Found"}))
            return
        if not allowed:
            self._send(Answer(401, {"message": "no"}, {"WWW-Authenticate": 'Basic realm="forge"'}))
            return
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_PROJECT_ROOT": str(self.forge.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "REQUEST_METHOD": self.command,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "pusher" if push else "",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def running(folder: Path) -> Iterator[ForgeServer]:
    """For fixtures: a server that is closed afterwards."""
    with ForgeServer(folder) as server:
        yield server
