"""Imports: the SDKs, on first use, without the parts of them that a chat completion never needs.

`import openai` builds some six hundred pydantic classes, nine tenths of the time of a start. Its `types`
packages only re-export what their modules define, so while the SDK is imported they resolve a name when it
is asked for; every name stays importable afterwards.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenAI:
    """The openai SDK and what the wire needs of the HTTP library below it."""

    module: Any
    response_type: Any
    timeout: Callable[[float, float], Any]
    read_timeout: type[Exception]
    connect_timeout: type[Exception]
    connect_error: type[Exception]
    transport_error: type[Exception]
    invalid_url: tuple[type[Exception], ...]


@lru_cache(maxsize=1)
def openai() -> OpenAI:
    """Import the openai SDK."""
    with quiet_collector():
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
        httpx.TransportError,
        (httpx.InvalidURL, httpx.UnsupportedProtocol),
    )


@contextmanager
def quiet_collector() -> Any:
    """No garbage collection while thousands of classes are built: nothing of them is garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
