"""httpbin on loopback, for test suites that talk to httpbin.org.

The server lives in a virtual environment of its own in the cache, with a certificate of its own
authority. Inside the sandbox it listens on two free ports of the loopback; a `sitecustomize` on the test
command's PYTHONPATH resolves the name httpbin.org to them and trusts the authority. An address that
nothing routes to times out, as on a network: suites test their time limits on one. Nothing leaves the
machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...tools.files import locked
from ...tools.project.installer import find_uv
from .interpreter import find_interpreter

_WANTED = re.compile(r"httpbin\.org|HTTPBIN_URL")
_PACKAGES = ("httpbin==0.10.2", "gunicorn==21.2.0", "trustme", "setuptools<81")
RESOLVER = """\
import errno, os, socket, time
_ports = dict(zip(("80", "443"), os.environ.get("HTTPBIN_PORTS", "").split(":")))
_names = {"httpbin.org", "www.httpbin.org"}
_lookup = socket.getaddrinfo

def getaddrinfo(host, port, *args, **kwargs):
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and name.lower() in _names:
        host = "127.0.0.1"
        port = int(_ports.get({"http": "80", "https": "443"}.get(str(port), str(port))) or port)
    return _lookup(host, port, *args, **kwargs)

def load_verify_locations(self, *args, **kwargs):
    _load(self, *args, **kwargs)
    _load(self, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tls", "client.pem"))

def connect(self, address):
    try:
        return _connect(self, address)
    except OSError as error:
        wait = self.gettimeout()
        if error.errno != errno.ENETUNREACH or not wait:
            raise
        time.sleep(wait)
        raise socket.timeout("timed out")

if _ports:
    import ssl
    socket.getaddrinfo = getaddrinfo
    _connect = socket.socket.connect
    socket.socket.connect = connect
    _load = ssl.SSLContext.load_verify_locations
    ssl.SSLContext.load_verify_locations = load_verify_locations
"""
_LAUNCH = """
ports=$("{venv}/bin/python" - <<'PICK'
import socket
held = [socket.socket() for _ in range(2)]
for one in held: one.bind(("127.0.0.1", 0))
print(":".join(str(one.getsockname()[1]) for one in held))
PICK
)
plain=${{ports%%:*}}; secure=${{ports##*:}}
serve() {{ env -u PYTHONPATH -u VIRTUAL_ENV "{venv}/bin/gunicorn" -k gthread --threads 16 --keep-alive 20 \
 --worker-tmp-dir /tmp --log-level critical --bind "127.0.0.1:$1" "${{@:2}}" httpbin:app >/dev/null 2>&1 & }}
serve "$plain"; first=$!
serve "$secure" --certfile "{home}/tls/server.pem" --keyfile "{home}/tls/server.key"; second=$!
"{venv}/bin/python" - "$plain" "$secure" <<'WAIT'
import socket, sys, time
for port in sys.argv[1:]:
    for _ in range(300):
        try: socket.create_connection(("127.0.0.1", int(port)), 1).close(); break
        except OSError: time.sleep(0.1)
WAIT
(
export HTTPBIN_PORTS="$ports" PYTHONPATH="{home}/site"
{command}
)
code=$?
kill "$first" "$second" 2>/dev/null; wait "$first" "$second" 2>/dev/null
exit "$code"
"""


@dataclass(frozen=True, slots=True)
class Httpbin:
    """An installed server."""

    home: Path
    prefix: Path
    """Installation directory of its interpreter."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """What a sandbox must show."""
        return (self.home, self.prefix)

    def wrap(self, command: str) -> str:
        """`command` with the server running beside it; its exit code is the command's."""
        return _LAUNCH.format(venv=self.home / "venv", home=self.home, command=command)


def wants_httpbin(texts: Iterable[str]) -> bool:
    """Whether test sources speak of httpbin.org."""
    return any(_WANTED.search(text) for text in texts)


def prepare_httpbin(cache: Path) -> Httpbin | None:
    """The server from the cache, else installed into it; None when it cannot be had."""
    home = cache / "httpbin-4"
    cache.mkdir(parents=True, exist_ok=True)
    interpreter = find_interpreter("3.11")
    with locked(cache / "httpbin.lock"):
        if not (home / "ready").exists() and not _install(home, str(interpreter.path)):
            return None
    return Httpbin(home, interpreter.prefix)


def _install(home: Path, python: str) -> bool:
    uv, venv = find_uv(), home / "venv"
    home.mkdir(parents=True, exist_ok=True)
    target = str(venv / "bin/python")
    if uv:
        steps = [
            [str(uv), "venv", "-q", "--clear", "--python", python, str(venv)],
            [str(uv), "pip", "install", "-q", "--compile-bytecode", "--python", target, *_PACKAGES],
        ]
    else:
        steps = [
            [python, "-m", "venv", "--clear", str(venv)],
            [target, "-m", "pip", "install", "-q", *_PACKAGES],
        ]
    (home / "tls").mkdir(exist_ok=True)
    steps.append(
        [
            target,
            "-m",
            "trustme",
            "-q",
            "-d",
            str(home / "tls"),
            "-i",
            "httpbin.org",
            "www.httpbin.org",
            "localhost",
            "127.0.0.1",
        ]
    )
    with (home / "install.log").open("wb") as log:
        for step in steps:
            if subprocess.run(
                step, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
            ).returncode:
                return False
    (home / "site").mkdir(exist_ok=True)
    (home / "site/sitecustomize.py").write_text(RESOLVER)
    (home / "ready").touch()
    return True
