"""AcpAgent: the Agent Client Protocol, version 1, on its SDK: what editors (Zed, JetBrains, VS Code) talk to.
https://agentclientprotocol.com
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acp import Agent, Client, RequestError, helpers
from acp.schema import (
    AgentCapabilities,
    ClientCapabilities,
    ForkSessionResponse,
    Implementation,
    InitializeResponse,
    ListSessionsResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PermissionOption,
    PromptCapabilities,
    PromptResponse,
    ResumeSessionResponse,
    SessionCapabilities,
    SessionCloseCapabilities,
    SessionInfo,
    SessionListCapabilities,
    SessionMode,
    SessionModeState,
    SessionResumeCapabilities,
    SetSessionModeResponse,
    ToolCallUpdate,
)

from ... import __version__
from ...tools.errors import SweAgentError
from ..record.event import Line
from .editor_session import EditorSession, FileChange, Turn
from .solve_process import EndedRun, SolveProcess
from .updates import Updates

MODES = (
    SessionMode(id="fix", name="Fix", description="Make a patch and offer to apply it to the checkout."),
    SessionMode(id="review", name="Review only", description="Make a patch and show it; nothing is applied."),
)
GO_ON = frozenset({"continue", "go on", "resume"})


@dataclass(eq=False)
class AcpAgent(Agent):
    """One connection. `flags` are passed on to every `swe-agent solve`."""

    flags: Sequence[str] = ()
    _client: Client | None = None
    _sessions: dict[str, EditorSession] = field(default_factory=dict[str, EditorSession])
    _tasks: dict[str, asyncio.Task[PromptResponse]] = field(
        default_factory=dict[str, asyncio.Task[PromptResponse]]
    )

    def on_connect(self, conn: Client) -> None:
        self._client = conn

    async def initialize(
        self,
        protocol_version: int,
        client_capabilities: ClientCapabilities | None = None,
        client_info: Implementation | None = None,
        **kwargs: Any,
    ) -> InitializeResponse:
        return InitializeResponse(
            protocol_version=min(protocol_version, 1) or 1,
            agent_capabilities=AgentCapabilities(
                load_session=True,
                prompt_capabilities=PromptCapabilities(embedded_context=True),
                session_capabilities=SessionCapabilities(
                    list=SessionListCapabilities(),
                    resume=SessionResumeCapabilities(),
                    close=SessionCloseCapabilities(),
                ),
            ),
            auth_methods=[],
            agent_info=Implementation(name="swe-agent", title="swe-agent", version=__version__),
        )

    async def authenticate(self, method_id: str, **kwargs: Any) -> None:
        raise RequestError.method_not_found("authenticate")

    async def new_session(
        self,
        cwd: str,
        additional_directories: list[str] | None = None,
        mcp_servers: list[Any] | None = None,
        **kwargs: Any,
    ) -> NewSessionResponse:
        try:
            session = await asyncio.to_thread(EditorSession.new, cwd)
        except (SweAgentError, OSError) as error:
            raise RequestError.invalid_params({"cwd": str(error)}) from error
        self._sessions[session.id] = session
        return NewSessionResponse(session_id=session.id, modes=_modes(session))

    async def load_session(
        self,
        cwd: str,
        session_id: str,
        mcp_servers: list[Any] | None = None,
        additional_directories: list[str] | None = None,
        **kwargs: Any,
    ) -> LoadSessionResponse:
        session = self._session(session_id)
        for turn in session.turns:
            await self._update(session, helpers.update_user_message_text(turn.prompt))
            ended = (
                "The run was interrupted: say 'continue' to go on." if session.interrupted() is turn else ""
            )
            await self._update(
                session, helpers.update_agent_message_text(turn.said or ended or "The run ended.")
            )
        return LoadSessionResponse(modes=_modes(session))

    async def list_sessions(
        self, cwd: str | None = None, cursor: str | None = None, **kwargs: Any
    ) -> ListSessionsResponse:
        found = await asyncio.to_thread(EditorSession.all)
        return ListSessionsResponse(
            sessions=[
                SessionInfo(session_id=session.id, cwd=session.cwd, title=session.title)
                for session in found
                if cwd is None or Path(cwd) == Path(session.cwd)
            ]
        )

    async def set_session_mode(self, session_id: str, mode_id: str, **kwargs: Any) -> SetSessionModeResponse:
        session = self._session(session_id)
        if mode_id not in {mode.id for mode in MODES}:
            raise RequestError.invalid_params(
                {"modeId": f"choose from {', '.join(mode.id for mode in MODES)}"}
            )
        session.mode = mode_id
        session.save()
        return SetSessionModeResponse()

    async def prompt(self, session_id: str, prompt: list[Any], **kwargs: Any) -> PromptResponse:
        session = self._session(session_id)
        if session_id in self._tasks:
            raise RequestError.invalid_params({"sessionId": "a prompt is running: cancel it first"})
        text = prompt_text(prompt)
        if not text.strip():
            raise RequestError.invalid_params({"prompt": "say what is wrong"})
        task = asyncio.ensure_future(self._turn(session, text))
        self._tasks[session_id] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled():
                return PromptResponse(stop_reason="cancelled")
            raise
        finally:
            self._tasks.pop(session_id, None)

    async def cancel(self, session_id: str, **kwargs: Any) -> None:
        task = self._tasks.get(session_id)
        if task is not None:
            task.cancel()

    async def resume_session(
        self,
        session_id: str,
        cwd: str,
        additional_directories: list[str] | None = None,
        mcp_servers: list[Any] | None = None,
        **kwargs: Any,
    ) -> ResumeSessionResponse:
        return ResumeSessionResponse(modes=_modes(self._session(session_id)))

    async def close_session(self, session_id: str, **kwargs: Any) -> None:
        await self.cancel(session_id)
        self._sessions.pop(session_id, None)

    async def fork_session(self, session_id: str, cwd: str, *args: Any, **kwargs: Any) -> ForkSessionResponse:
        raise RequestError.method_not_found("session/fork")

    async def set_config_option(
        self, config_id: str, session_id: str, value: str | bool, **kwargs: Any
    ) -> None:
        raise RequestError.method_not_found("session/set_config_option")

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        raise RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Nothing is expected."""

    def _session(self, id: str) -> EditorSession:
        if id not in self._sessions:
            try:
                self._sessions[id] = EditorSession.load(id)
            except SweAgentError as error:
                raise RequestError.invalid_params({"sessionId": str(error)}) from error
        return self._sessions[id]

    async def _turn(self, session: EditorSession, text: str) -> PromptResponse:
        turn = session.interrupted() if text.strip().lower() in GO_ON else None
        arguments = ["--resume", turn.run] if turn is not None else None
        if turn is None:
            repository, base = session.source()
            turn = session.begin(text)
            issue = session.folder / "issue.md"
            issue.write_text(session.issue(text), encoding="utf-8", errors="replace")
            arguments = ["--file", str(issue), "--repo", str(repository), "--output", turn.run, *self.flags]
            arguments += ["--base", base] if base else []
        assert arguments is not None
        outcome = await self._run(session, arguments)
        turn.finished = outcome.result is not None
        await self._conclude(session, turn, outcome)
        session.save()
        return PromptResponse(stop_reason="end_turn")

    async def _run(self, session: EditorSession, arguments: Sequence[str]) -> EndedRun:
        """Run with its events sent on in order."""
        updates = Updates(Path(session.cwd))
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def send() -> None:
            while (update := await queue.get()) is not None:
                await self._update(session, update)

        def hear(type: str, fields: Line) -> None:
            for update in updates.of(type, fields):
                queue.put_nowait(update)

        sender = asyncio.create_task(send())
        try:
            outcome = await SolveProcess(arguments, Path(session.cwd)).run(hear)
            queue.put_nowait(updates.plan(ended=outcome.result is None))
            queue.put_nowait(None)
            await sender
            return outcome
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    async def _conclude(self, session: EditorSession, turn: Turn, outcome: EndedRun) -> None:
        result = outcome.result
        if result is None:
            turn.said = f"The run failed: {outcome.error}"
            await self._update(session, helpers.update_agent_message_text(turn.said))
            return
        turn.said = str(result.get("status"))
        changes: list[FileChange] = []
        if result.get("patch"):
            changes = await asyncio.to_thread(session.commit, turn, str(result.get("base_commit")))
            await self._update(session, _edit(session, turn, changes))
        await self._update(session, helpers.update_agent_message_text(f"{turn.said}\n"))
        if changes and session.mode == "fix":
            turn.said += f"\n{await self._offer(session, turn, verified=bool(result.get('verified')))}"

    async def _offer(self, session: EditorSession, turn: Turn, *, verified: bool) -> str:
        """Ask before the checkout is touched. Returns what was done."""
        assert self._client is not None
        doubt = "" if verified else " (its checks do not show it right)"
        answer = await self._client.request_permission(
            session_id=session.id,
            tool_call=ToolCallUpdate(
                tool_call_id=f"{turn.run}/apply", title=f"Apply the patch to {session.cwd}{doubt}", kind="edit",
                status="pending",
            ),
            options=[
                PermissionOption(option_id="apply", name="Apply to the checkout", kind="allow_once"),
                PermissionOption(option_id="keep", name="Keep it apart", kind="reject_once"),
            ],
        )  # fmt: skip
        if getattr(answer.outcome, "option_id", None) != "apply":
            said = f"Not applied. `swe-agent apply {turn.run}` does it later."
        else:
            try:
                await asyncio.to_thread(session.apply)
                said = f"Applied. `swe-agent apply {turn.run} --undo` takes it back."
            except SweAgentError as error:
                said = f"Not applied: {error}"
        await self._update(session, helpers.update_agent_message_text(said))
        return said

    async def _update(self, session: EditorSession, update: Any) -> None:
        assert self._client is not None
        await self._client.session_update(session_id=session.id, update=update)


def prompt_text(blocks: Sequence[Any]) -> str:
    """The text of a prompt: what was typed, and the resources that were attached, each under its address."""
    parts: list[str] = []
    for block in blocks:
        kind = getattr(block, "type", "")
        if kind == "text":
            parts.append(block.text)
        elif kind == "resource_link":
            parts.append(f"See {block.uri}")
        elif kind == "resource" and getattr(block.resource, "text", None) is not None:
            parts.append(f"{block.resource.uri}:\n\n```\n{block.resource.text}\n```")
    return "\n\n".join(parts)


def _edit(session: EditorSession, turn: Turn, changes: Sequence[FileChange]) -> Any:
    return helpers.start_tool_call(
        f"{turn.run}/patch",
        f"Patch of {len(changes)} files",
        kind="edit",
        status="completed",
        content=[
            helpers.tool_diff_content(str(Path(session.cwd) / change.path), change.new or "", change.old)
            for change in changes
        ],
    )


def _modes(session: EditorSession) -> SessionModeState:
    return SessionModeState(current_mode_id=session.mode, available_modes=list(MODES))
