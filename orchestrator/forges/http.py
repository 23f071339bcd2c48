"""ForgeHttp: one forge's REST API, with the rules that all forges share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from ...tools.body_limit import ENCODINGS, bounded_now
from ...tools.errors import ForgeError, IssueError
from ...tools.proxies import http_options
from ...tools.retry import RetryPolicy

MAX_WAIT_S = 60.0
_CONNECT_S = 4.0
_FIRST_ANSWER_S = 4.5
"""A host that takes the connection and says nothing is given up quickly; once it has answered, later
answers may take longer."""
_ANSWER_S = 20.0
_MAX_PAGES = 50
_REDIRECTS = (301, 302, 307, 308)

Query = Mapping[str, str | int]
"""Parameters of a URL."""

FORK_READY = RetryPolicy(first_s=1.0, longest_s=1.0, total_s=60.0, jitter=False)
"""How long a fork may take to be made."""
_RETRY = RetryPolicy(first_s=0.5, attempts=2, jitter=False)


class _Passing(Exception):
    """A failure that another attempt may mend; `error` says it if none does."""

    def __init__(self, error: ForgeError | IssueError) -> None:
        super().__init__(str(error))
        self.error = error


class ForgeHttp:
    """GET, POST and pagination against one API root. The token goes to that root's origin alone: never to
    where a redirect or a Link header leads."""

    def __init__(
        self,
        api: str,
        token: str | None,
        *,
        token_name: str = "GH_TOKEN",
        headers: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda line: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._origin = _origin(api)
        self._host = urlsplit(api).netloc
        self._token = token
        self._token_name = token_name
        self._on_line = on_line
        self._answered = False
        self._waited = 0.0
        self._client = httpx.Client(
            timeout=_FIRST_ANSWER_S,
            follow_redirects=False,
            transport=transport,
            **http_options(api),
            headers={"User-Agent": "swe-agent", "Accept-Encoding": ENCODINGS, **(headers or {})},
            event_hooks={"response": [bounded_now]},
        )
        # A netrc entry would be sent wherever a redirect leads; tokens come from the caller alone.
        self._client.auth = _no_auth

    @property
    def has_token(self) -> bool:
        return self._token is not None

    def get(self, url: str, what: str, params: Query | None = None) -> Any:
        """Decoded JSON. `what` names the thing in errors. Raises: IssueError, ForgeError."""
        return _json(self._send("GET", url, what, params=params), what)

    def pages(self, url: str, what: str, params: Query | None = None) -> Iterator[Any]:
        """Items of a paginated list, following `Link: rel="next"` within the same origin."""
        next_url: str | None = url
        for _ in range(_MAX_PAGES):
            if next_url is None:
                return
            response = self._send("GET", next_url, what, params=params)
            items = _json(response, what)
            if not isinstance(items, list):
                raise ForgeError(f"{self._host} answered {what} with something that is not a list")
            yield from items
            following = response.links.get("next", {}).get("url")
            next_url = urljoin(str(response.url), following) if following else None
            if next_url is not None and _origin(next_url) != self._origin:
                raise ForgeError(f"{self._host} pages {what} over another host ({urlsplit(next_url).netloc})")
            params = None

    def post(self, url: str, what: str, body: Mapping[str, object]) -> tuple[int, Any]:
        """Status and decoded JSON; 409 and 422 are answers to act on, not errors."""
        response = self._send("POST", url, what, json=body, accept=(409, 422))
        return response.status_code, _json(response, what)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> ForgeHttp:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _send(
        self,
        method: str,
        url: str,
        what: str,
        *,
        params: Query | None = None,
        json: Any = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        try:
            for attempt in _RETRY.retrying(lambda error: method == "GET" and isinstance(error, _Passing)):
                with attempt:
                    return self._once(method, url, what, params, json, accept)
        except _Passing as passing:
            raise passing.error from passing.__cause__
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        url: str,
        what: str,
        params: Query | None,
        json: Any,
        accept: tuple[int, ...],
    ) -> httpx.Response:
        """One answer, past redirects and short rate limits. Raises: _Passing for what another attempt may
        mend."""
        hops = 0
        while True:
            response = self._request(method, url, params, json)
            status = response.status_code
            if status < 300 or status in accept:
                return response
            if status in _REDIRECTS and method == "GET" and "location" in response.headers and hops < 5:
                url, params, hops = urljoin(url, response.headers["location"]), None, hops + 1
                continue
            if status in (403, 429) and self._wait(response):
                continue
            error = self._error(response, what)
            raise _Passing(error) if status >= 500 else error

    def _request(self, method: str, url: str, params: Query | None, json: Any) -> httpx.Response:
        headers = {}
        if self._token is not None and _origin(url) == self._origin:
            headers["Authorization"] = f"Bearer {self._token}"
        limit = _ANSWER_S if self._answered else _FIRST_ANSWER_S
        timeout = httpx.Timeout(limit, connect=_CONNECT_S)
        try:
            response = self._client.request(
                method, url, params=params, json=json, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            failure = ForgeError(f"cannot reach {urlsplit(url).netloc}: {_words(error)}")
            if isinstance(error, httpx.TimeoutException):
                raise failure from error
            raise _Passing(failure) from error
        except httpx.InvalidURL as error:
            raise ForgeError(f"{url} is not a URL: {error}") from error
        self._answered = True
        return response

    def _wait(self, response: httpx.Response) -> bool:
        """Sit out a short rate limit. Raises: ForgeError naming the time when it is a long one; False when
        the answer is no rate limit."""
        seconds = _seconds_to_wait(response)
        if seconds is None:
            return False
        seconds = max(seconds, 1.0)
        if seconds >= MAX_WAIT_S - self._waited:
            until = datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            advice = "try again then"
            if not self.has_token:
                advice += f", or set {self._token_name} for a higher limit"
            raise ForgeError(f"{self._host} limits the rate of requests until {until}; {advice}")
        self._on_line(f"{self._host} limits the rate of requests; waiting {seconds:.0f} s")
        self._waited += seconds
        time.sleep(seconds)
        return True

    def _error(self, response: httpx.Response, what: str) -> ForgeError | IssueError:
        status, host, words = response.status_code, self._host, _message(response)
        if status == 401:
            return ForgeError(f"{host} refused the token ({words}); check {self._token_name}")
        if status == 403:
            return ForgeError(f"{host} forbids access to {what}: {words}")
        if status == 404:
            hint = (
                "or the token may not see it"
                if self.has_token
                else f"or it is private: set {self._token_name}"
            )
            return IssueError(f"{host} has no {what} (404), {hint}")
        if status == 410:
            return IssueError(f"{what} was deleted from {host} (410)")
        if status in _REDIRECTS:
            where = response.headers.get("location", "an unnamed place")
            return IssueError(f"{what} has moved to {where}; use that address")
        return ForgeError(f"{host} answered {what} with status {status}: {words}")


def _no_auth(request: httpx.Request) -> httpx.Request:
    return request


def _seconds_to_wait(response: httpx.Response) -> float | None:
    """Seconds until a rate limit ends; None when the answer is not one.
    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
    headers = response.headers
    after = headers.get("retry-after", "").strip()
    if after.isdecimal():
        return float(after)
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
    if (
        headers.get("x-ratelimit-remaining") or headers.get("ratelimit-remaining")
    ) == "0" and reset.isdecimal():
        return max(0.0, float(reset) - time.time()) + 1.0
    if response.status_code == 429 or "rate limit" in _message(response).lower():
        return 60.0
    return None


def _json(response: httpx.Response, what: str) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise ForgeError(
            f"{response.url.host} answered {what} with something that is not JSON; is this a forge?"
        ) from error


def _message(response: httpx.Response) -> str:
    try:
        data = response.json()
    except (ValueError, RecursionError):
        return response.reason_phrase or "no reason given"
    if not isinstance(data, dict):
        return response.reason_phrase
    words = data.get("message") or data.get("error") or response.reason_phrase
    listed = data.get("errors")
    errors = [
        str(item.get("message") or item.get("code") or "") if isinstance(item, dict) else str(item)
        for item in (listed if isinstance(listed, list) else ())
    ]
    return "; ".join(str(part) for part in [words, *errors] if part)[:300]


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
