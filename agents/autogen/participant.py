"""RoleParticipant: a role of ours as an agent of AutoGen's teams (RoundRobinGroupChat, SelectorGroupChat, ...)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from ..conversation import Conversation
from ..loop import RoleAgent, TurnResult

_DESCRIPTIONS = {
    "coder": "Writes the patch that resolves the issue.",
    "tester": "Writes a test that fails for the issue's reason.",
    "debugger": "Finds out why tests fail and mends the patch.",
    "critic": "Reviews the patch: accepts it or says what to change.",
    "single": "Resolves the issue alone.",
}


class RoleReport(BaseModel):
    """What one turn of a role came to."""

    role: str
    text: str
    """For people and for the other agents: summary, and the Critic's verdict."""
    status: str
    """finished | steps | stuck | limit (see `agents.loop.TurnResult`)."""
    accept: bool | None = None
    """The Critic's verdict; None for other roles, and for a review that was not finished."""
    finish: dict[str, object] = {}
    """The arguments of `finish`: summary, scores, rationale, failing tests, ..."""
    steps: int = 0


class RoleParticipant(BaseChatAgent):
    """Each time it is its turn to speak the role works on what was said since, and answers with a
    `StructuredMessage[RoleReport]`, so the verdict is in the team's result."""

    def __init__(self, agent: RoleAgent, description: str | None = None) -> None:
        super().__init__(
            agent.name, description or _DESCRIPTIONS.get(agent.name, f"The {agent.name} of the team.")
        )
        self.agent = agent

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (StructuredMessage[RoleReport],)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        """Raises: what `RoleAgent.turn` raises."""
        said = [
            f"{m.source}: {m.to_model_text()}" if m.source != "user" else m.to_model_text() for m in messages
        ]
        turn = asyncio.ensure_future(self.agent.turn("\n\n".join(said) or "Go on."))
        cancellation_token.link_future(turn)
        report = report_of(self.name, await turn)
        message = StructuredMessage[RoleReport](content=report, source=self.name, format_string="{text}")
        return Response(chat_message=message)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.agent.conversation = Conversation()


def report_of(role: str, result: TurnResult) -> RoleReport:
    """A turn as its report."""
    finish = dict(result.finish)
    accept = finish.get("accept")
    summary = str(finish.get("summary") or finish.get("rationale") or result.why or result.status)
    if isinstance(accept, bool):
        verdict = "The patch is accepted." if accept else "The patch is rejected."
        summary = f"{verdict} {summary}"
    return RoleReport(
        role=role,
        text=summary,
        status=result.status,
        accept=accept if isinstance(accept, bool) else None,
        finish=finish,
        steps=result.steps,
    )
