"""Failures: what an endpoint's refusal means, by status, error body and headers."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from .wire import FailureKind, WireError

_OVERFLOW = re.compile(
    r"context[_ ]length|context window|maximum context|prompt is too long|too many (input )?tokens"
    r"|input is too long|exceeds? the (model'?s )?(maximum|max|available) (context|number of tokens|input)"
    r"|max_model_len|maximum (allowed )?(input|prompt) (length|tokens)|input token count .* exceeds"
    r"|exceed_context_size|longer than the model's context|reduce the length of the (messages|prompt|input)",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"(?:token|context|input|prompt|request|messages?|conversation)s?\b.{0,80}?(?:exceed|too (?:long|large|big|many)|over the limit"
    r"|longer than|larger than|greater than|must be (?:<|less|at most|shorter)|range of|should be (?:\[|<|less|at most))"
    r"|(?:exceed\w*|above|over|beyond|larger than|longer than)\b.{0,40}?(?:token|context)s?\b.{0,20}(?:limit|length|window|size)"
    r"|range of input length|tokens_limit_reached|max_prompt_tokens|request (?:body )?too large",
    re.IGNORECASE | re.DOTALL,
)
"""In the words of providers that nobody listed; only where tokens or a context are spoken of."""
_OUTPUT_LIMIT = re.compile(
    r"(?:completion|output) tokens|max_(?:completion_)?tokens\W.{0,40}(?:too large|too high|at most|must be|less than|<=|invalid|range)",
    re.IGNORECASE,
)
_RATE_WORDS = re.compile(r"rate.?limit|per (?:minute|min|second|day)|\b[TR]P[MDS]\b", re.IGNORECASE)
_UNREADABLE = re.compile(
    r"tool_use_failed|failed_generation|failed to (?:call a function|parse (?:the )?(?:tool|function|model output|input at pos))"
    r"|malformed[_ ](?:function|tool)[_ ]call|tool call validation failed|could not parse (?:the )?(?:tool|function|model)"
    r"|(?:error|failed) (?:in )?parsing (?:tool|function) call|model (?:produced|generated|output) (?:an )?invalid",
    re.IGNORECASE,
)
_MODEL_GONE = re.compile(
    r"model_not_found|model\b.{0,80}(?:not found|does not exist|not exist|not available|unknown|deprecated|decommissioned|no access)"
    r"|(?:no such|unknown|invalid|unsupported|unrecognized) model|page not found|not found$|cannot (?:post|get) |no route|invalid url|\bpath\b",
    re.IGNORECASE,
)
_WINDOW = re.compile(
    r"(?:context (?:length|window|size)(?: is| of|:)?|max_model_len(?: is|=|:)?|n_ctx[^0-9]{0,4}|>)\s*\(?(\d[\d,]{2,})"
    r"|(\d[\d,]{2,})\s*(?:tokens? )?maximum",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"do(?:es)? not support (?:tool|function)|(?:tool|function)[ -]?call(?:s|ing)? (?:is|are) not (?:supported|enabled)"
    r"|tools param requires|does not support tools|do(es)?n'?t support (tool|function)|tool (use|calling|calls) (is|are) not supported"
    r"|enable-auto-tool-choice|tool-call-parser|support tool use|function calling is not (enabled|supported)"
    r"|unsupported (parameter|value)[^a-z]+tools?\b",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"(?:unsupported|unrecognized|unknown|unexpected|invalid|not permitted|extra)[^'\"`]{0,60}['\"`]([a-z_][a-z_.]*)['\"`]"
    r"|['\"`]?([a-z_]{4,})['\"`]? (?:is|are) (?:not supported|deprecated|unsupported)"
    r"|does not support (?:setting )?['\"`]?([a-z_]{4,})['\"`]?",
    re.IGNORECASE,
)
NOT_PERMITTED = "these fields are not permitted:"
_SPOKEN = re.compile(
    r"\b(?:invalid|unsupported|unknown|unexpected|illegal|bad) (?:parameter |value for |argument )?[`'\"]?([a-z_]{4,})\b"
    r"(?=[`'\"]?\s*[:;,.]|[`'\"]?$)",
    re.IGNORECASE,
)
OPTIONAL = frozenset(
    {
        "temperature", "top_p", "seed", "reasoning_effort", "logprobs", "top_logprobs", "return_token_ids",
        "parallel_tool_calls", "max_tokens", "max_completion_tokens", "stream_options", "response_format",
        "tool_choice", "reasoning", "usage", "thinking",
    }
)  # fmt: skip
"""Parameters that a request can do without."""


def from_status(
    status: int, body: bytes | str | Mapping[str, object], headers: Mapping[str, str]
) -> WireError:
    """The error of an HTTP answer that is not a success. The message is one line of at most 300 characters."""
    message, code, parameter = _explain(body)
    kind = _kind(status, message, code, parameter)
    shown = " ".join(f"HTTP {status}: {message}".split()) if message else f"HTTP {status}"
    return WireError(
        kind,
        shown[:300],
        status=status,
        retry_after_s=retry_after(headers),
        parameter=_refused(message, parameter) if kind == "parameter" else None,
        context_window=window_of(message) if kind == "overflow" else None,
        generation=_generation(body) if kind == "sampling" else None,
    )


def _generation(body: bytes | str | Mapping[str, object]) -> str | None:
    """Groq's `failed_generation`: what the model wrote."""
    parsed: Any = body
    if isinstance(body, (bytes, str)):
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return None
    error = parsed.get("error") if isinstance(parsed, Mapping) else None
    written = error.get("failed_generation") if isinstance(error, Mapping) else None
    return written if isinstance(written, str) and written.strip() else None


def from_body(error: Any) -> WireError:
    """The error that an answer with status 200 holds instead of choices (OpenRouter, streams)."""
    fields = error if isinstance(error, Mapping) else {"message": str(error)}
    code = str(fields.get("code") or fields.get("status") or fields.get("status_code") or "")
    status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 502
    return from_status(status, {"error": fields}, {})


def _kind(status: int, message: str, code: str, parameter: str | None) -> FailureKind:
    text = f"{message} {code}"
    if status in (400, 422, 500) and _UNREADABLE.search(text):
        return "sampling"
    if _overflows(status, text):
        return "overflow"
    if status in (400, 404, 422, 500, 501) and _NO_TOOLS.search(message):
        return "no_tools"
    if status in (400, 422) and _refused(message, parameter) is not None:
        return "parameter"
    if status == 401:
        return "credentials"
    if status == 403:
        return "forbidden"
    if status == 404:
        return "missing" if _MODEL_GONE.search(text) else "forbidden"
    if status == 402 or "insufficient_quota" in text or "billing_hard_limit" in text:
        return "quota"
    if status == 429:
        return "rate"
    if status in (408, 409) or status >= 500:
        return "rate" if status in (503, 529) else "transient"
    if status == 413:
        return "overflow"
    if "model_not_found" in code or ("model" in message.lower() and "not found" in message.lower()):
        return "missing"
    return "fatal"


def _overflows(status: int, text: str) -> bool:
    """Whether the prompt is too long. A 429 says so when this request alone is over what a minute allows."""
    if status == 429:
        return bool(
            re.search(r"request too large|must be reduced in order|request is too large", text, re.IGNORECASE)
        )
    if status not in (400, 413, 422, 500) or _RATE_WORDS.search(text):
        return False
    if _OUTPUT_LIMIT.search(text) and not re.search(
        r"context|input|prompt|max_new_tokens", text, re.IGNORECASE
    ):
        return False
    if _OVERFLOW.search(text):
        return status != 500 or "context" in text
    speaks = re.search(r"token|context|input length|prompt", text, re.IGNORECASE)
    return bool(speaks and _TOO_LONG.search(text) and re.search(r"\d{3,}|limit|window", text))


def _refused(message: str, parameter: str | None) -> str | None:
    if parameter in OPTIONAL:
        return parameter
    if _OUTPUT_LIMIT.search(message):
        named = re.search(r"max_(?:completion_)?tokens", message)
        return named[0] if named else "max_tokens"
    speaks = _SPOKEN.search(message)
    if speaks and speaks[1].lower() in OPTIONAL:
        return speaks[1].lower()
    for match in _PARAMETER.finditer(message):
        for name in match.groups():
            if name and name.lower() in OPTIONAL:
                return name.lower()
    return None


def _explain(body: bytes | str | Mapping[str, object]) -> tuple[str, str, str | None]:
    """(message, code and type, parameter) of an error body; providers differ in all of it."""
    parsed: Any = body
    if isinstance(body, (bytes, str)):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            plain = re.sub(r"<[^>]{0,200}>", " ", text)
            return " ".join(plain.split())[:250], "", None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, Mapping):
        return str(parsed)[:250], "", None
    error = parsed.get("error", parsed)
    if not isinstance(error, Mapping):
        return str(error)[:250], "", None
    message = error.get("message") or error.get("detail") or parsed.get("detail") or error.get("error") or ""
    named = _extra_fields(message)
    if named is not None:
        return (
            f"{NOT_PERMITTED} {', '.join(named)}",
            "extra_forbidden",
            next(iter(named), None),
        )
    detail = error.get("metadata")
    if isinstance(detail, Mapping) and detail.get("raw"):
        message = f"{message}: {detail['raw']}"
    code = f"{error.get('code') or ''} {error.get('type') or ''}".strip()
    parameter = error.get("param")
    if not isinstance(message, str):
        message = json.dumps(message)
    return message[:2000], code, parameter if isinstance(parameter, str) else None


def _extra_fields(detail: Any) -> list[str] | None:
    """FastAPI's validation errors of fields that are not known: [{"type": "extra_forbidden", "loc": [..., name]}]."""
    if isinstance(detail, Mapping):
        detail = detail.get("detail")
    if not isinstance(detail, list) or not detail:
        return None
    found = [
        str(entry["loc"][-1])
        for entry in detail
        if isinstance(entry, Mapping)
        and "extra" in str(entry.get("type"))
        and isinstance(entry.get("loc"), list)
        and entry["loc"]
    ]
    return found if len(found) == len(detail) else None


def window_of(message: str) -> int | None:
    """The context window that an overflow message names, in tokens."""
    found = [int(n.replace(",", "")) for m in _WINDOW.finditer(message) for n in m.groups() if n]
    plausible = [n for n in found if n >= 256]
    return min(plausible) if plausible else None


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (delta seconds or an HTTP date, RFC 9110 10.2.3)."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        seconds = _finite(milliseconds)
        if seconds is not None:
            return seconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _finite(value)
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError):
        return None
    return max(0.0, at - (time.time() if now is None else now))


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None
