"""Team: gives a role its client, its tools, its prompt and its observer, and runs its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...agents.budget import Budget
from ...agents.conversation import Conversation
from ...agents.critic import LETTERS, Score, score
from ...agents.loop import RoleAgent, TurnResult
from ...agents.models.calls import Sampling
from ...agents.models.client import ModelClient
from ...agents.models.factory import make_client
from ...agents.roles import Role, finish_tool
from ...prompts import render, render_text
from ...tools.plugins import load
from ...tools.project.spec import Project
from ...tools.toolbox.run_tests import RunsTests
from ...tools.toolbox.tool import ToolPlugin
from ...tools.toolbox.toolbox import NAMES, Toolbox
from ...tools.workspace import Workspace
from ..forges.base import images_in
from ..record.events import Agent, Toolset
from ..record.journal import Journal
from ..record.recorder import Recorder
from ..request import SolveRequest
from ..settings import OFFLINE
from ..settings.role_file import changed
from .instructions import Instructions
from .pictures import Pictures, load_pictures
from .relevance import Belonging


@dataclass(frozen=True, slots=True)
class Assignment:
    """One turn to run."""

    role: Role
    scope: str
    """`<node>/<role>/<number>`; stable under a seed."""
    task: str
    workspace: Workspace
    conversation: Conversation | None = None
    temperature: float | None = None
    seed: int | None = None
    model: str | None = None
    """Overrides the role's model (a proposer)."""
    accept: Callable[[Mapping[str, object]], str | None] = lambda arguments: None
    reproduction_path: str = ""
    rank: int = 0
    """For a deterministic proposer: how many of its patches to pass over."""
    ledger: Budget | None = None
    """What the turn spends is booked here too; None: in the run's only."""


class Team:
    """Runs turns; knows models and tools, not the order of work."""

    def __init__(
        self,
        request: SolveRequest,
        project: Project,
        runner: RunsTests,
        recorder: Recorder,
        journal: Journal,
        budget: Budget,
        *,
        logs: Path,
        mask: Callable[[str], str] = str,
        instructions: Sequence[Instructions] = (),
        shown: Belonging | None = None,
    ) -> None:
        self.request = request
        self.instructions = instructions
        """What the repository tells agents; data for every first task."""
        self.shown = shown or Belonging()
        """What is known of the failing tests."""
        self.project = project
        self.runner = runner
        self.recorder = recorder
        self.budget = budget
        self._journal = journal
        self._logs = logs
        self._mask = mask
        issue = request.issue
        self._shown = tuple(dict.fromkeys((*issue.images, *images_in(issue.text, issue.discussion))))
        self.pictures = load_pictures(self._shown, logs.parent / "pictures", fetch=False)
        """The pictures of the issue."""
        self._clients: dict[str, ModelClient] = {}

    async def close(self) -> None:
        """Close connections."""
        for client in self._clients.values():
            await client.close()

    def _client(self, model: str) -> ModelClient:
        """One client, hence one connection pool and one rate limiter, per model."""
        if model not in self._clients:
            self._clients[model] = make_client(
                model,
                options=self.request.options,
                observer=self.recorder,
                journal=self._journal,
                budget=self.budget,
                replay_only=self._journal.replay,
            )
        return self._clients[model]

    async def turn(self, work: Assignment) -> TurnResult:
        """Run one role turn. Raises: ModelError, SandboxError; a limit is a TurnResult."""
        request = self.request
        role = changed(work.role.name, request.role_file)
        model = work.model or request.model_of(role.name)
        sampling = request.sampling
        if work.temperature is not None or work.seed is not None:
            sampling = Sampling(
                temperature=sampling.temperature if work.temperature is None else work.temperature,
                top_p=sampling.top_p,
                max_output_tokens=sampling.max_output_tokens,
                seed=sampling.seed if work.seed is None else work.seed,
                reasoning_effort=sampling.reasoning_effort,
                logprobs=sampling.logprobs,
            )
        client = self._client(model).scoped(
            work.scope,
            sampling=sampling,
            observer=self.recorder,
            budget=work.ledger or self.budget,
        )
        toolbox = self._toolbox(role, work, offline=model == OFFLINE)
        agent = f"{role.name}:{model}"
        self.recorder.append(Toolset(name=agent, tools=toolbox.schemas))
        self.recorder.append(
            Agent(
                name=agent,
                role=role.name,
                model=model,
                toolset=agent,
                is_llm=client.is_llm,
                sampling={"temperature": sampling.temperature, "seed": sampling.seed},
            )
        )
        window = client.context_window
        values = {
            "root": work.workspace.sandbox.placeless(str(work.workspace.root)),
            "reproduction_path": work.reproduction_path,
        }
        actor = RoleAgent(
            role.name,
            client,
            toolbox,
            system=render_text(role.prompt, **values) if role.prompt else render(role.template, **values),
            scope=work.scope,
            conversation=work.conversation,
            max_steps=request.max_steps,
            max_context=int(window * 0.85) if window else None,
            observer=self.recorder.turn(work.scope, agent),
            journal=self._journal,
            mask=self._mask,
        )
        if work.conversation is not None:
            return await actor.turn(work.task)
        pictures = await self._look(client)
        named = pictures.named(seen=client.vision)
        task = f"{work.task}\n\n{named}" if named else work.task
        return await actor.turn(task, list(pictures.urls.values()) if client.vision else ())

    async def _look(self, client: ModelClient) -> Pictures:
        """The pictures of the issue; fetched when the first model that takes any is asked."""
        if client.vision and self.pictures.folder is None and self._shown:
            folder = self._logs.parent / "pictures"
            self.pictures = await asyncio.to_thread(load_pictures, self._shown, folder)
        return self.pictures

    async def score(self, work: Assignment, conversation: Conversation, k: int) -> Score | None:
        """The Critic's score after its review. Raises: ModelError; BudgetExceeded."""
        model = work.model or self.request.model_of(work.role.name)
        client = self._client(model).scoped(
            work.scope,
            sampling=replace(self.request.sampling, logprobs=len(LETTERS), seed=work.seed),
            observer=self.recorder,
            budget=work.ledger or self.budget,
        )
        agent = f"{work.role.name}:{model}"
        return await score(client, conversation, self.recorder.turn(work.scope, agent), k=k)

    def _toolbox(self, role: Role, work: Assignment, *, offline: bool) -> Toolbox:
        extra = [finish_tool(role, work.accept)]
        own = [name for name in role.tools if name not in NAMES]
        extra[:0] = [load("tools", name, ToolPlugin).on(work.workspace, name) for name in own]
        if offline and "editFile" in role.tools:
            from ...agents.offline.tool import LONGEST_S, make_propose_tool, paced

            tool = make_propose_tool(
                work.workspace,
                self.project,
                self.request.issue.text,
                seed=work.seed or self.request.seed,
                effort=self.request.effort,
                time_limit_s=self.budget.room().wall_s or LONGEST_S,
                on_progress=paced(self.recorder.tell),
                skip=work.rank,
                within=self.shown.within,
                also=self.shown.silent,
            )
            extra = [tool, *extra]
        return Toolbox(
            work.workspace,
            self.runner,
            allowed=[name for name in role.tools if name in NAMES],
            may_write=role.may_write,
            extra=extra,
            log_dir=self._logs,
            left_s=lambda: (work.ledger or self.budget).room().wall_s,
        )
