"""explain: what a failure of an endpoint means to a person, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from ...tools.errors import ContextOverflowError, CredentialsError, ModelError
from .providers import Route
from .wire import RETRYABLE, WireError


def explain(error: WireError, route: Route, text: str, attempts: int, max_retry_s: float) -> ModelError:
    """The error of the family for one that ended a call; `text` is its message without secrets."""
    model = route.model
    variables = " or ".join(route.key_vars) or "the key"
    tried = f" (after {attempts} attempts)" if attempts > 1 else ""
    if error.kind == "overflow":
        return ContextOverflowError(f"the prompt is longer than the context window of {model}: {text}")
    if error.kind == "credentials":
        return CredentialsError(f"{model} refused the API key ({text}); check {variables}")
    if error.kind == "missing":
        return CredentialsError(
            f"{model} does not exist at its endpoint ({text}); check --model and --api-base"
        )
    if error.kind == "quota":
        return CredentialsError(f"the account behind {model} has no credit left ({text})")
    if error.kind == "no_tools":
        return ModelError(f"{model} takes no tools ({text}); set text mode on")
    if error.kind == "forbidden":
        return ModelError(f"{model} forbids this prompt, though not every one: {text}{tried}")
    if not error.connected and error.status is None:
        where = f" at {route.base_url}" if route.base_url else ""
        return ModelError(
            f"{model} cannot be reached{where} ({text}){tried}; check --api-base and the network"
        )
    if error.kind in RETRYABLE and error.retry_after_s and error.retry_after_s > max_retry_s:
        return ModelError(
            f"{model} asked to wait {error.retry_after_s:.0f} s, longer than retries may take: {text}"
        )
    return ModelError(f"{model} failed: {text}{tried}")


def masked(text: str, keys: Iterable[str | None]) -> str:
    """`text` without the keys, should an endpoint echo one."""
    for key in keys:
        if key and len(key) >= 6:
            text = text.replace(key, "***")
    return text
