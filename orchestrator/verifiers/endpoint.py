"""EndpointVerifier: a reward model behind a URL.

A URL that ends with `/v1` is an OpenAI-compatible server of a generative verifier (trained on the rows of `orm`): it is
asked their question, and the score is P(YES) / (P(YES) + P(NO)) of the first token. Any other URL gets a POST of
`{"issue", "patch", "features"}` and answers `{"score": p}`, p in [0, 1] or null to abstain.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from ...tools.body_limit import ENCODINGS, bounded, bounded_now
from ...tools.errors import UsageError, VerifierError
from ...tools.proxies import http_options
from ..record.question import QUESTION
from ..search.node import VerifierScore
from .case import Case
from .features import features

KEY = "SWE_AGENT_VERIFIER_KEY"
"""Environment variable: a bearer token of the endpoint."""
TIMEOUT_S = 60.0
TRIES = 2


class EndpointVerifier:
    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.name = urlsplit(url).netloc
        self.model: str | None = None
        """Of a generative verifier; None: the first that the server names."""

    def check(self) -> None:
        """Raises: UsageError when nobody answers, before anything is spent."""
        try:
            with httpx.Client(
                headers=self._headers,
                timeout=10.0,
                event_hooks={"response": [bounded_now]},
                **http_options(self.url),
            ) as client:
                if self._generative:
                    answer = client.get(f"{self.url}/models")
                    if answer.status_code >= 400:
                        raise UsageError(
                            f"--verifier {self.url}: {self.url}/models answers {answer.status_code}"
                        )
                else:
                    client.options(self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UsageError(
                f"--verifier {self.url} cannot be reached: {error or type(error).__name__}"
            ) from error

    @property
    def _generative(self) -> bool:
        return urlsplit(self.url).path.endswith("/v1")

    @property
    def _headers(self) -> dict[str, str]:
        key = os.environ.get(KEY)
        return {"Accept-Encoding": ENCODINGS, **({"Authorization": f"Bearer {key}"} if key else {})}

    async def score(self, case: Case) -> VerifierScore:
        last = ""
        async with httpx.AsyncClient(
            headers=self._headers,
            timeout=TIMEOUT_S,
            event_hooks={"response": [bounded]},
            **http_options(self.url),
        ) as client:
            for _ in range(TRIES):
                try:
                    async with asyncio.timeout(TIMEOUT_S):  # of the whole answer, which may come in drops
                        found = await (
                            self._asked(client, case) if self._generative else self._posted(client, case)
                        )
                except (
                    TimeoutError,
                    httpx.HTTPError,
                    httpx.InvalidURL,
                    ValueError,
                    KeyError,
                    IndexError,
                    TypeError,
                ) as error:
                    last = str(error) or type(error).__name__
                    continue
                if found is None:
                    return VerifierScore(self.name, why="it abstains")
                return VerifierScore(self.name, round(found, 6))
        raise VerifierError(f"the verifier {self.url} cannot be asked: {last}")

    async def _posted(self, client: httpx.AsyncClient, case: Case) -> float | None:
        body = {
            "issue": case.issue,
            "patch": case.patch.text,
            "features": dict(features(case.evaluation, case.patch)),
        }
        score = (await _answer(client.post(self.url, json=body)))["score"]
        return None if score is None else _probability(score)

    async def _asked(self, client: httpx.AsyncClient, case: Case) -> float | None:
        if self.model is None:
            self.model = str((await _answer(client.get(f"{self.url}/models")))["data"][0]["id"])
        question = QUESTION.format(issue=case.issue, patch=case.patch.text)
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        answer = await _answer(client.post(f"{self.url}/chat/completions", json=body))
        tokens = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        yes, no = (
            math.fsum(math.exp(one["logprob"]) for one in tokens if _means(one["token"], word))
            for word in ("YES", "NO")
        )
        return yes / (yes + no) if yes + no > 0.5 else None  # it speaks of something else: no opinion


def _means(token: str, word: str) -> bool:
    said = token.strip("▁Ġ \n").upper()
    return len(said) > 0 and word.startswith(said)


async def _answer(sent: Any) -> Mapping[str, Any]:
    response: httpx.Response = await sent
    response.raise_for_status()
    data = response.json()
    if not isinstance(data, dict):
        raise ValueError("its answer is no object")
    return data


def _probability(score: object) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f"its score is no number from 0 to 1: {score!r}")
    return float(score)
