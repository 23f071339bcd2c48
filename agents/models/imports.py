"""Imports: third-party packages without the parts that a chat completion never needs.

Nine tenths of a start went into imports, most of them for nothing: `import openai` builds some six hundred
pydantic classes of APIs that are not called, `httpx` loads its command line (click, rich), and AutoGen's
`jsonref` loads requests. `install` watches for exactly these modules:

- the `openai.types` packages, which only re-export names, resolve a name when it is asked for;
- optional imports that the packages themselves treat as absent-able stay out while they are loaded;
- no garbage collection runs while the classes are built.

Every name stays importable afterwards, and a package that no longer looks as expected is loaded as it is.
"""

from __future__ import annotations

import gc
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_OPTIONAL = {"jsonref": "requests", "httpx": "httpx._main", "httpcore": "h2"}
"""Package → optional import that it does without."""
_QUIET = frozenset({"openai", "autogen_core", "autogen_agentchat", "litellm"})
_IMPORT = re.compile(r"from (\.[\w.]*) import (.*)")
_NAME = re.compile(r"\s*(\w+)(?: as (\w+))?\s*")


def install() -> None:
    """Watch imports from now on. Idempotent. For the entries of programs (the command, a batch worker): a
    library does not change how its importer's modules are loaded."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the watched modules where they are and wraps their loaders; knows no others."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        lazy = name.startswith("openai.types") and path is not None
        if not lazy and name not in _OPTIONAL and name not in _QUIET:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None and (not lazy or spec.submodule_search_locations):
            spec.loader = _Loader(spec.loader, lazy)  # type: ignore[assignment]
        return spec


class _Loader:
    """The module's own loader, with one of the three ways around it. It is gone once the module is loaded."""

    def __init__(self, inner: Any, lazy: bool) -> None:
        self._inner = inner
        self._lazy = lazy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        exports = _exports(self._inner.get_source(name) or "") if self._lazy else None
        if exports is not None:
            _resolve_on_demand(module, exports)
        else:
            with quiet_collector(), _without(_OPTIONAL.get(name)):
                self._inner.exec_module(module)


def _exports(source: str) -> dict[str, tuple[str, str]] | None:
    """name → (relative module, its name there), of a package that only re-exports; None for any other."""
    found: dict[str, tuple[str, str]] = {}
    module = None
    for line in source.split("\n"):
        if not line or line.startswith("#") or line in (")", "from __future__ import annotations"):
            continue
        match = _IMPORT.fullmatch(line)
        if match is not None:
            module, names = match[1], match[2]
            if names == "(":
                continue
        elif line.startswith(" "):
            names = line.strip()
        else:
            return None
        for item in names.rstrip(",").split(","):
            parts = _NAME.fullmatch(item)
            if parts is None or module is None:
                return None
            found[parts[2] or parts[1]] = (module, parts[1])
    return found


def _resolve_on_demand(module: ModuleType, exports: dict[str, tuple[str, str]]) -> None:
    package = module.__name__

    def resolve(name: str) -> Any:
        if name in exports:
            where, original = exports[name]
            value = getattr(importlib.import_module(where, package), original)
        elif name.startswith("__"):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        else:
            try:
                value = importlib.import_module(f".{name}", package)
            except ModuleNotFoundError:
                raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        setattr(module, name, value)
        return value

    vars(module)["__getattr__"] = resolve
    vars(module)["__dir__"] = lambda: sorted({*vars(module), *exports})
    vars(module)["__all__"] = list(exports)


@contextmanager
def _without(name: str | None) -> Iterator[None]:
    """Make `import name` fail meanwhile, unless it is loaded already."""
    if name is None or name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection while thousands of classes are built: nothing of them is garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True, slots=True)
class OpenAI:
    """The openai SDK and what the wire needs of the HTTP library below it."""

    module: Any
    response_type: Any
    timeout: Callable[[float, float], Any]
    read_timeout: type[Exception]
    connect_timeout: type[Exception]
    connect_error: type[Exception]
    http_error: type[Exception]
    invalid_url: tuple[type[Exception], ...]


@lru_cache(maxsize=1)
def openai() -> OpenAI:
    """Import the openai SDK."""
    module = importlib.import_module("openai")
    httpx = importlib.import_module("httpx")

    @lru_cache(maxsize=64)
    def timeout(read_s: float, connect_s: float) -> Any:
        return httpx.Timeout(read_s, connect=min(connect_s, read_s))

    return OpenAI(
        module,
        httpx.Response,
        timeout,
        httpx.ReadTimeout,
        httpx.ConnectTimeout,
        httpx.ConnectError,
        httpx.HTTPError,
        (httpx.InvalidURL, httpx.UnsupportedProtocol),
    )
