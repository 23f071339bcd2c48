"""Secrets: taken out of every text before it reaches a model, a log or an export."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(
    r"(^|_)(API_?KEY|APIKEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIALS?|AUTH|PAT|DSN)(_|$|\d)|"
    r"(SECRET|TOKEN|PASSWORD|APIKEY|ACCESSKEY|PRIVATEKEY)$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(
    r"(PWD|OLDPWD|SSH_AUTH_SOCK|GPG_KEY|XAUTHORITY|.*_(FILE|PATH|SOCK|URL|ID|TYPE|HELPER|PUBLIC_KEY))"
)
_MIN_VALUE = 8
_SURE_VALUE = 12


@dataclass(frozen=True, slots=True)
class _Shape:
    """A kind of token. `needles`: one of them is in every text that holds it (a quick first look)."""

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(kind: str, needles: str, pattern: str) -> _Shape:
    return _Shape(kind, tuple(needles.split()), re.compile(pattern))


# Each is long and specific enough that ordinary text does not have it.
_SHAPES = (
    _shape(
        "private-key",
        "-----BEGIN",
        r"-----BEGIN (?P<kind>[A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?)-----"
        r"(?:[\s\S]{1,20000}?-----END (?P=kind)-----|(?:(?:\s|\\n)+[A-Za-z0-9+/=]{16,})+)",
    ),
    _shape("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,251}"),
    _shape("github", "github_pat_", r"\bgithub_pat_[A-Za-z0-9]{20,}(?:_[A-Za-z0-9]{20,})?"),
    _shape("gitlab", "gl", r"\bgl(?:pat|ptt|dt|rt|cbt|soat|ft|oas)-[A-Za-z0-9_-]{20,}"),
    _shape("anthropic", "sk-ant-", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    _shape("openai", "sk-", r"\bsk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}"),
    _shape("openai", "sk-", r"\bsk-(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}"),
    _shape("aws", "AKIA ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _shape("google", "AIza ya29.", r"\b(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{30,})"),
    _shape("slack", "xox", r"\bxox[abeoprs]-(?:[A-Za-z0-9]+-){1,5}[A-Za-z0-9]{10,}"),
    _shape("huggingface", "hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    _shape("pypi", "pypi-AgE", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    _shape("npm", "npm_", r"\bnpm_[A-Za-z0-9]{36}"),
    _shape("jwt", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    _shape(
        "bearer",
        "earer EARER uthorization UTHORIZATION",
        r"(?i:\b(?P<keep>bearer|authorization:[ \t]*(?:basic|token))[ \t]+)"
        r"(?=\S*[0-9])(?P<secret>[A-Za-z0-9._~+/-]{20,}=*)",
    ),
    _shape(
        "url-password",
        "://",
        r"(?P<keep>://[^\s/:@\[\]]{1,64}:)(?=[^\s@]*[0-9])(?P<secret>[^\s/:@\[\]]{16,256})(?=@)",
    ),
)


def host_secrets(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the host's environment that hold secrets, by their names."""
    found = os.environ if env is None else env
    return {name: value for name, value in found.items() if is_secret_name(name) and len(value) >= _MIN_VALUE}


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret (`OPENAI_API_KEY`), going by the name alone."""
    return bool(_NAME.search(name)) and not _NOT_SECRET.fullmatch(name)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield key
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


class Masker:
    """Replaces secrets by `[masked:<kind>]`. Knows the values it is given, and the shapes of well-known
    tokens; leaves all other text as it is. Masking twice is masking once."""

    def __init__(self, env: Mapping[str, str] | None = None, *, values: Iterable[str] = ()) -> None:
        """`env` may be a whole environment: only its secrets are taken. `values` are further secrets
        (tokens from `gh` or a netrc file)."""
        self.counts: Counter[str] = Counter()
        """Kind → how many were masked so far."""
        self._values: Counter[str] = Counter()
        self._known: re.Pattern[str] | None = None
        for value in [*host_secrets(env or {}).values(), *values]:
            self.add(value)

    def add(self, value: str) -> None:
        """Also mask this value. Values too short or too plain to be a secret are ignored."""
        for part in {value.strip(), *(line.strip() for line in value.split("\n"))}:
            if len(part) >= _MIN_VALUE and not _plain(part) and part not in _MARKS:
                self._values[part] = 1
        longest = sorted(self._values, key=lambda part: (-len(part), part))
        self._known = re.compile("|".join(map(re.escape, longest))) if longest else None

    def mask(self, text: str) -> str:
        """`text` without secrets, of known value or of a well-known shape."""
        while True:
            masked = self.mask_values(text)
            for shape in _SHAPES:
                if any(needle in masked for needle in shape.needles):
                    masked = shape.pattern.sub(lambda match, kind=shape.kind: self._mark(match, kind), masked)
            if masked == text:
                return text
            text = masked

    def mask_values(self, text: str) -> str:
        """`text` without the known values only: for patches and files, where a made-up token in a test is
        part of the work."""
        if self._known is None:
            return text
        return self._known.sub(lambda match: self._mark(match, "value"), text)

    def mask_json(self, value: Any) -> Any:
        """A JSON value with every string masked, keys too."""
        # Nearly every event holds no secret: one look at all its text is far cheaper than one at each string.
        if not isinstance(value, str) and not self._suspects("\n".join(_strings(value))):
            return value
        return self._mask_each(value)

    def _suspects(self, text: str) -> bool:
        if self._known is not None and self._known.search(text):
            return True
        return any(
            any(needle in text for needle in shape.needles) and shape.pattern.search(text) is not None
            for shape in _SHAPES
        )

    def _mask_each(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {
                self.mask(key) if isinstance(key, str) else key: self._mask_each(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._mask_each(item) for item in value]
        return value

    def _mark(self, match: re.Match[str], kind: str) -> str:
        groups = match.groupdict()
        self.counts[kind] += 1
        if "keep" in groups:
            start = match.start("secret") - match.start()
            return f"{match[0][:start]}[masked:{kind}]"
        return f"[masked:{kind}]"


def _plain(value: str) -> bool:
    """Whether ordinary text may well hold the value: a path, a number, or (when short) words."""
    if value.startswith(("/", "./", "~/")) or value.isdigit():
        return "/" in value or len(value) < _SURE_VALUE
    return len(value) < _SURE_VALUE and (value.isalpha() or bool(_WORDS.fullmatch(value)))


_WORDS = re.compile(r"[A-Za-z]+([-_ .:/][A-Za-z]+)*\d?")
_MARKS = "".join(f"[masked:{kind}]" for kind in ("value", *(shape.kind for shape in _SHAPES)))
