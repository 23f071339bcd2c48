"""A generative verifier behind /v1: the probability of YES against NO, of the question it was trained on."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from servers.json_server import JsonServer

from swe_agent.orchestrator.search.node import Measurement, VerifierScore
from swe_agent.orchestrator.verifiers.case import Case
from swe_agent.orchestrator.verifiers.endpoint import EndpointVerifier
from swe_agent.tools.errors import VerifierError
from swe_agent.tools.patch import Patch

PATCH = Patch("diff --git a/f.py b/f.py\n--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-a\n+b\n")


def said_by(tokens: dict[str, float]) -> VerifierScore:
    bodies: list[Any] = []

    def answer(body: Any) -> Any:
        bodies.append(body)
        top = [{"token": token, "logprob": math.log(p)} for token, p in tokens.items()]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}

    server = JsonServer(answer)
    try:
        verifier = EndpointVerifier(f"{server.origin}/v1")
        verifier.model = "orm"
        said = asyncio.run(verifier.score(Case("hours are wrong", PATCH, Measurement())))
    finally:
        server.close()
    (message,) = bodies[0]["messages"]
    assert "Answer YES or NO" in message["content"]
    assert "hours are wrong" in message["content"]
    return said


@pytest.mark.parametrize(
    ("tokens", "probability"),
    [
        ({"YES": 0.6, " NO": 0.2, "The": 0.1}, 0.75),
        ({"Y": 0.5, "N": 0.5}, 0.5),
        ({"The": 0.9, "YES": 0.05}, None),
    ],
)
def test_yes_against_no(tokens: dict[str, float], probability: float | None) -> None:
    assert said_by(tokens).probability == (None if probability is None else pytest.approx(probability))


def test_what_cannot_be_asked_says_so() -> None:
    server = JsonServer(lambda body: [])
    try:
        with pytest.raises(VerifierError, match="no object"):
            asyncio.run(EndpointVerifier(server.origin).score(Case("x", PATCH, Measurement())))
    finally:
        server.close()
    with pytest.raises(VerifierError):
        asyncio.run(EndpointVerifier(server.origin).score(Case("x", PATCH, Measurement())))


def test_an_answer_has_a_size() -> None:
    server = JsonServer(lambda body: {"score": 0.5, "more": "x" * (65 << 20)})
    try:
        with pytest.raises(VerifierError, match="larger than 64 MiB"):
            asyncio.run(EndpointVerifier(server.origin).score(Case("x", PATCH, Measurement())))
    finally:
        server.close()
