"""Endpoint: one model behind its wire, with everything between a request and its answer that all calls
share: keys, rate limit, retries, what it accepts, and what was learned of the context window."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import NamedTuple

from ...tools.errors import ModelError
from ..message import Message, user
from .accepts import NOTHING, Accepts, Features
from .calls import ModelOptions, Sampling, Usage
from .catalog import ModelFacts
from .diagnosis import Case
from .encoder import Encoder
from .explanation import explain, masked
from .failures import NOT_PERMITTED
from .limiter import RateLimiter, limiter_for
from .prompt import Prompt
from .providers import Route, facts_for
from .retries import Heard, Retries
from .shapes import has_keywords, plain_tools, shapes_of, without
from .text_mode import TextMode
from .wire import Answer, Request, Wire, WireError
from .written import with_calls

_RESAMPLES = 2
"""Further samples of a message that its server could not read, before the model is told."""
_UNCERTAIN = frozenset({409, 500, 501})
"""Statuses of failures that may pass by themselves, or may be a refusal; the same twice is taken for one."""
_PASSING = re.compile(
    r"later|again|overload|unavailable|capacity|busy|timed? ?out|internal (server )?error$|upstream",
    re.IGNORECASE,
)
_KNOWN = frozenset({200, 401, 402, 408, 429})


class Sampled(NamedTuple):
    """An answer and what it took."""

    answer: Answer
    attempts: int
    latency_s: float


class Endpoint:
    """Shared by every scope of a client, on any event loop."""

    def __init__(self, route: Route, wire: Wire, options: ModelOptions) -> None:
        self.route = route
        self.wire = wire
        self.facts: ModelFacts = facts_for(route)
        self.context_window = route.context_window or self.facts.context_window
        self.encoder = Encoder(route.reasoning)
        self.text = TextMode()
        self.accepts = Accepts(frozenset({"tools"}) if options.text_mode else NOTHING)
        self.bytes_per_token = 3.6
        self._may_use_text = options.text_mode is not False
        self.options = options
        self._keys = list(route.keys(options)) or [None]
        self._dead: dict[str | None, WireError] = {}
        self._good: set[str | None] = set()
        self._cases: dict[str, Case] = {}
        self._answered: Request | None = None
        self._answered_tokens = 0

    @property
    def model(self) -> str:
        return self.route.model

    @property
    def text_mode(self) -> bool:
        """Whether tools travel as text."""
        return "tools" in self.accepts.refused

    async def ask(self, request: Request, deadline: float | None, heard: Heard) -> Sampled:
        """One answer, after as many attempts as it takes within the bounds.

        `deadline` (monotonic seconds) bounds the retries beside `ModelOptions.max_retry_s`.
        Raises: CredentialsError, ContextOverflowError, ModelError (with `attempts` set on each).
        """
        state = Retries(self.options.max_retry_s, deadline, heard)
        try:
            async for attempt in state.loop():
                with attempt:
                    key = await self._turn(state)
                    sent = self._prepared(request, state)
                    started = time.perf_counter()
                    try:
                        answer = await self.wire.attempt(sent, key)
                    except WireError as error:
                        unreadable = self._unreadable(error, state)
                        if unreadable is None:
                            state.adapted = await self._adapts(error, key, request, sent, state)
                            raise
                        answer = unreadable
                    latency_s = time.perf_counter() - started
                    self._limiter(key).succeeded()
                    return Sampled(self._taken(answer, request, sent, key, state), state.attempts, latency_s)
        except WireError as error:
            raise self.explain(error, state.attempts) from None
        raise AssertionError("unreachable")

    async def _turn(self, state: Retries) -> str | None:
        """Wait until a request may leave. Returns the key that it takes. Raises: WireError."""
        key = self._key()
        limiter = state.limiter = self._limiter(key)
        paused = limiter.paused_for()
        if paused > self.options.max_retry_s:
            raise WireError("rate", "its rate limit is used up", retry_after_s=paused)
        await self.wire.ready()
        await limiter.wait(state.until())
        state.attempts += 1
        return key

    def _prepared(self, request: Request, state: Retries) -> Request:
        """The request as this endpoint takes it."""
        accepts = self.accepts
        if state.leave_out is None:
            state.trial = NOTHING
            if accepts.doubt:
                state.trial = accepts.trial(
                    self._present(self._without(request, accepts.refused - accepts.doubt))
                )
            return self._without(request, accepts.refused - state.trial)
        return self._without(request, state.leave_out)

    def _without(self, request: Request, left_out: Features) -> Request:
        if not left_out:
            return request
        changed = replace(request, leave_out=left_out)
        if "tools" in left_out and request.tools:
            changed.pieces = self.text.pieces(request.messages, request.tools)
            changed.tools, changed.tool_choice = (), None
        elif "schema_keywords" in left_out and request.tools:
            changed.tools = plain_tools(request.tools)
        changed.pieces = without(changed.pieces, left_out)
        if "stream" in left_out:
            changed.on_text = None
        elif "whole" in left_out and request.on_text is None:
            changed.on_text = _unheard
        return changed

    def _present(self, sent: Request) -> Features:
        """Everything in a request that it could do without."""
        found = set(self.wire.parameters(sent) or ()) | shapes_of(sent.pieces)
        found.add("whole" if sent.on_text is None else "stream")
        if sent.tools:
            found.add("tools")
            if has_keywords(sent.tools):
                found.add("schema_keywords")
        if any(piece.reasoned is not None for piece in sent.pieces):
            found.add("reasoning")
        if self.route.cache_control:
            found.add("cache_control")
        return frozenset(found) - sent.leave_out

    def _taken(
        self, answer: Answer, request: Request, sent: Request, key: str | None, state: Retries
    ) -> Answer:
        """An answer came: what it teaches, and its calls however they are written."""
        self._good.add(key)
        case = self._cases.pop(request.scope, None) if self._cases else None
        if case is not None and state.leave_out is not None:
            blamed = case.blamed if case.certain else NOTHING
            extra = case.made + case.before_it
            self.accepts.worked(
                state.leave_out, case.before, blamed, extra=extra, words=case.words, sure=case.certain
            )
        elif case is not None and case.shortened and case.certain:
            self.context_window = min(self.context_window or case.tokens, case.tokens)
        elif state.trial:
            self.accepts.took(state.trial)
        self._answered = sent
        self._answered_tokens = max(self._answered_tokens, self.estimate(request.prompt.size))
        self._calibrate(request, answer)
        if request.on_text is not None and sent.on_text is None and answer.message.content:
            request.on_text(answer.message.content)
        return with_calls(answer, request.tools, text_mode=bool(request.tools) and not sent.tools)

    def estimate(self, size: int, tools_size: int = 0) -> int:
        """Prompt tokens, from sizes in bytes and what earlier calls came to."""
        return int((size + tools_size) / self.bytes_per_token) + 1

    def _unreadable(self, error: WireError, state: Retries) -> Answer | None:
        """What the model wrote, where its server could not read it: when it holds a call that can be read
        after all, or when it was sampled often enough."""
        if error.kind != "sampling":
            return None
        written = error.generation or ""
        if state.resampled < _RESAMPLES and not written:
            state.resampled += 1
            return None
        return Answer(Message("assistant", written or str(error)), "malformed", Usage())

    async def _adapts(
        self, error: WireError, key: str | None, request: Request, sent: Request, state: Retries
    ) -> bool:
        """Whether something was changed that makes another attempt worth it, at once."""
        limiter = self._limiter(key)
        if error.status is not None:
            limiter.reached = True
        if error.kind == "rate":
            limiter.refused(state.backoff() if error.retry_after_s is None else error.retry_after_s)
            return self._usable_now(key)
        if error.kind == "sampling":
            return True
        if error.kind in ("timeout", "missing") or not error.connected:
            return False
        if state.trial and (_told(error) == self.accepts.words or 400 <= (error.status or 500) < 500):
            self.accepts.refused_trial(state.trial)
            state.trial = NOTHING
            return True
        if error.kind == "forbidden" and key not in self._good and not state.probed:
            state.probed = True
            if not await self._refuses_anything(key):
                self._good.add(key)
                return self._experiments(error, request, sent, state)
            error.kind = "missing" if error.status == 404 else "credentials"
            if error.kind == "missing":
                return False
        if error.kind in ("credentials", "quota"):
            self._dead[key] = error
            return any(other not in self._dead for other in self._keys)
        named = self._named(error, sent)
        if named:
            self.accepts.learned(named)
            return True
        if error.kind == "overflow":
            if error.context_window:
                self.context_window = min(error.context_window, self.context_window or error.context_window)
            return False
        return self._experiments(error, request, sent, state)

    def _named(self, error: WireError, sent: Request) -> Features:
        """What the refusal names in words that are known, where it was in the request."""
        if error.kind == "parameter" and error.parameter and error.parameter not in sent.leave_out:
            words = str(error)
            named = {n for n in self.wire.parameters(sent) or () if NOT_PERMITTED in words and n in words}
            return frozenset({error.parameter, *named})
        if error.kind == "no_tools" and self._may_use_text and sent.tools:
            return frozenset({"tools"})
        return NOTHING

    def _experiments(self, error: WireError, request: Request, sent: Request, state: Retries) -> bool:
        """An answer of unknown meaning: whether there is something to try, and what."""
        words = str(error)
        certain = error.status is not None and error.status < 500 and error.status not in _UNCERTAIN
        if error.status is None or error.status in _KNOWN or self.wire.parameters(sent) is None:
            return False
        if not certain and (
            error.status not in _UNCERTAIN
            or words != state.words
            or error.retry_after_s is not None
            or _PASSING.search(words)
        ):
            state.words = words
            return False
        case = self._cases.get(request.scope)
        if case is None:
            answered = self._answered
            case = self._cases[request.scope] = Case(
                _told(error),
                sent.leave_out,
                self._present(sent),
                NOTHING if answered is None else self._present(answered),
                self.estimate(request.prompt.size),
                self._answered_tokens,
                self._may_use_text,
                certain,
                (not certain) + state.probed,
            )
        experiment = case.next()
        if experiment is None:
            del self._cases[request.scope]
            state.words = ""
            state.leave_out = None
            return False
        if experiment.shorter:
            error.kind = "overflow"
            return False
        state.leave_out = experiment.leave_out
        return True

    async def _refuses_anything(self, key: str | None) -> bool:
        """Whether a harmless request is forbidden as well."""
        message = user("Reply with the word: pong")
        pieces = self.encoder.pieces([message])
        prompt = Prompt(pieces, len(pieces[0].wire), frozenset(), b"", "")
        probe = Request("", 0, [message], prompt, pieces, (), None, None, Sampling(), None, 30.0)
        try:
            await self.wire.attempt(probe, key)
        except WireError as error:
            return error.status in (401, 403, 404)
        return False

    def _key(self) -> str | None:
        alive = [key for key in self._keys if key not in self._dead]
        if not alive:
            raise next(iter(self._dead.values()))
        return min(alive, key=lambda key: self._limiter(key).paused_for())

    def _usable_now(self, refused: str | None) -> bool:
        return any(
            key != refused and key not in self._dead and not self._limiter(key).paused_for()
            for key in self._keys
        )

    def _limiter(self, key: str | None) -> RateLimiter:
        return limiter_for(f"{self.route.provider}|{self.route.base_url}|{self.route.name}|{hash(key)}")

    def _calibrate(self, request: Request, answer: Answer) -> None:
        tokens = answer.usage.prompt_tokens
        size = request.prompt.size
        if tokens and tokens > 200 and size:
            self.bytes_per_token = min(8.0, max(1.0, size / tokens))

    def explain(self, error: WireError, attempts: int = 1) -> ModelError:
        """The error of the family that says to a person what `error` means and what to do."""
        failure = explain(error, self.route, self.masked(str(error)), attempts, self.options.max_retry_s)
        failure.attempts = attempts
        return failure

    def masked(self, text: str) -> str:
        """Without the keys, should an endpoint echo one; nor parts of them, as OpenAI's 401 does."""
        return masked(text, self._keys)

    async def close(self) -> None:
        await self.wire.close()


def _told(error: WireError) -> str:
    """The endpoint's own words."""
    return str(error).partition(": ")[2] or str(error)


def _unheard(text: str) -> None:
    """A listener for an endpoint that only streams."""
