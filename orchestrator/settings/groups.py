"""The groups of settings that commands are made of. What `solve` and `batch` share is `Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .flag import (
    BENCHMARK_NAMES,
    ROLES,
    Amount,
    Count,
    Duration,
    Flag,
    Group,
    Switch,
    Words,
    benchmark_name,
    models_by_role,
    verification,
    verifier_of,
    words,
)
from .role_file import RoleChange, roles_of_file

if TYPE_CHECKING:
    from ...agents.budget import BudgetLimits
    from ...agents.models.calls import ModelOptions, Sampling

OFFLINE = "offline/repair"
Proposer = Literal["llm", "offline"]


class ModelSettings(Group):
    title: ClassVar[str] = "Model"

    model: Annotated[
        str,
        Flag("openai/NAME, anthropic/NAME, hosted_vllm/NAME, ...; offline/repair needs no key.", short="-m"),
    ] = OFFLINE
    role_models: Annotated[
        dict[str, str],
        BeforeValidator(models_by_role, json_schema_input_type=dict[str, str] | str),
        Flag("Models by role: coder=M,critic=M.", name="role-model"),
    ] = Field(default_factory=dict[str, str])
    api_base: Annotated[str | None, Flag("Base URL of an OpenAI-compatible endpoint.")] = None
    fallback_models: Annotated[Words, Flag("Models to fall back to, comma-separated.")] = ()
    temperature: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None,
        Flag("Sampling temperature.", shown="the endpoint's"),
    ] = None
    reasoning_effort: Annotated[
        str | None, Flag("low, medium or high, where the model offers it.", shown="the endpoint's")
    ] = None
    max_output_tokens: Annotated[Count | None, Flag("Output limit of one call.", advanced=True)] = None
    text_mode: Annotated[bool, Flag("Call tools as fenced text.", advanced=True)] = False
    request_timeout: Annotated[Duration, Flag("Seconds that one model call may take.", advanced=True)] = 600.0
    retry_time: Annotated[
        Duration, Flag("Seconds that a failing call is repeated at most.", advanced=True)
    ] = 300.0
    stream: Annotated[bool, Flag("Stream calls: one that falls silent is repeated.", advanced=True)] = False
    token_ids: Annotated[
        bool | None, Flag("Ask for token ids (vLLM).", shown="where the endpoint has them", advanced=True)
    ] = None
    logprobs: Annotated[
        bool, Flag("Ask for the logprobs of what is sampled; with token ids they always are.", advanced=True)
    ] = False

    @property
    def sampling(self) -> Sampling:
        from ...agents.models.calls import Sampling

        return Sampling(
            temperature=self.temperature,
            max_output_tokens=self.max_output_tokens,
            reasoning_effort=self.reasoning_effort,
            logprobs=0 if self.logprobs else None,
        )

    @property
    def options(self) -> ModelOptions:
        from ...agents.models.calls import ModelOptions

        return ModelOptions(
            api_base=self.api_base,
            fallbacks=self.fallback_models,
            text_mode=self.text_mode or None,
            timeout_s=self.request_timeout,
            max_retry_s=self.retry_time,
            stream=self.stream,
            token_ids=self.token_ids,
        )

    def model_of(self, role: str) -> str:
        return self.role_models.get(role, self.model)


class SearchSettings(Group):
    title: ClassVar[str] = "Search"

    roles: Annotated[
        Literal["team", "single", "auto"],
        Flag(
            "team is Tester, Coder, Debugger and Critic; single is one agent; auto calls Tester and Critic only where "
            "evidence is missing."
        ),
    ] = "team"
    role_file: Annotated[
        dict[str, RoleChange],
        BeforeValidator(roles_of_file, json_schema_input_type=str),
        Flag("Prompts and tools of roles (TOML).", metavar="FILE", advanced=True),
    ] = Field(default_factory=dict[str, RoleChange])
    search: Annotated[
        Literal["linear", "best-of-n", "tree"], Flag("One attempt, independent ones, or a tree of them.")
    ] = "linear"
    samples: Annotated[
        Count | None,
        Flag("Rollouts at most (best-of-n, tree).", short="-n", shown="8 where there is a search"),
    ] = None
    width: Annotated[Count, Flag("Children of one node at most (tree).", advanced=True)] = 4
    proposers: Annotated[
        tuple[Proposer, ...],
        BeforeValidator(words, json_schema_input_type=tuple[Proposer, ...] | str),
        Flag("Comma-separated.", choices=get_args(Proposer), shown="by the model", advanced=True),
    ] = ()
    same_prompt: Annotated[
        bool, Flag("Roots get the same prompt and temperature: honest groups for GRPO.", advanced=True)
    ] = False
    seed: Annotated[int, Flag("Seed of everything that is random.")] = 0
    max_steps: Annotated[Count, Flag("Model calls of one role turn.", advanced=True)] = 100
    effort: Annotated[
        Count, Flag("Candidates that one search of the offline model tries at most.", advanced=True)
    ] = 8_000
    verifier: Annotated[
        str | None,
        AfterValidator(verifier_of),
        Flag(
            "A trained verifier: a file of `train verifier`, or the URL of a reward model.",
            metavar="PATH|URL",
            advanced=True,
        ),
    ] = None
    critic_samples: Annotated[
        Count, Flag("Times the Critic scores a patch; 1: its review's own scores.", advanced=True)
    ] = 1

    @property
    def rollouts(self) -> int:
        """Rollouts at most, all roots and branches together."""
        return self.samples or (1 if self.search == "linear" else 8)


class LimitSettings(Group):
    title: ClassVar[str] = "Limits"

    budget_usd: Annotated[Amount | None, Flag("Dollars at most per issue.", shown="no limit")] = None
    budget_tokens: Annotated[Count | None, Flag("Tokens at most per issue.", shown="no limit")] = None
    budget_steps: Annotated[Count | None, Flag("Model calls at most per issue.", shown="no limit")] = None
    budget_test_time: Annotated[
        Duration | None, Flag("Time of test runs at most per issue: 90s, 30m, 2h.", advanced=True)
    ] = None
    timeout: Annotated[
        Duration | None, Flag("Wall time at most per issue: 90s, 30m, 2h.", shown="no limit")
    ] = None

    @property
    def limits(self) -> BudgetLimits:
        from ...agents.budget import BudgetLimits

        return BudgetLimits(
            usd=self.budget_usd,
            tokens=self.budget_tokens,
            steps=self.budget_steps,
            wall_s=self.timeout,
            test_s=self.budget_test_time,
        )


class VerificationSettings(Group):
    title: ClassVar[str] = "Verification"

    setup: Annotated[str | None, Flag("Command that sets the repository up.", shown="detected")] = None
    test_cmd: Annotated[str | None, Flag("Command that runs the tests.", shown="detected")] = None
    verify: Annotated[
        str,
        BeforeValidator(verification),
        Flag("Tests to run: auto (about a minute), full, or a time for the final check: 90s, 5m."),
    ] = "auto"


class SandboxSettings(Group):
    title: ClassVar[str] = "Sandbox"

    sandbox: Annotated[
        Literal["auto", "namespace", "docker", "plain"], Flag("Where commands run; plain has no walls.")
    ] = "auto"
    network: Annotated[Switch, Flag("Network inside the sandbox.", choices=("none", "on"))] = False


class Settings(SandboxSettings, VerificationSettings, LimitSettings, SearchSettings, ModelSettings):
    """What `solve` and `batch` share; checked in one place, before anything is set up or spent."""

    measure: Annotated[
        Literal["auto", "none", "lint", "coverage", "all"],
        Flag(
            "What the reward weighs beyond tests; auto: lint; coverage runs tests twice more.",
            group="Verification",
        ),
    ] = "auto"

    def models(self) -> set[str]:
        """Every model that may be called."""
        if self.roles == "single":
            return {self.model_of("single")}
        return {self.model_of(role) for role in ROLES if role != "single"}

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.search == "linear" and (self.samples or 1) > 1:
            raise ValueError(f"--samples {self.samples} needs --search best-of-n or tree")
        if self.search != "tree" and self.width != 4:
            raise ValueError(f"--width {self.width} needs --search tree")
        if self.measure in ("lint", "all"):
            from ...tools.lint import ruff

            if ruff() is None:
                raise ValueError(f"--measure {self.measure} needs ruff: pip install ruff")
        if len(set(self.proposers)) < len(self.proposers):
            raise ValueError("--proposers takes each of llm, offline at most once")
        return self


def is_shared(name: str) -> bool:
    """Whether a field means the same in every command that has it."""
    return name in Settings.model_fields


class MirrorSettings(Group):
    """Where repositories and environments of instances come from."""

    title: ClassVar[str] = "Repositories"

    repo_mirror: Annotated[
        Path | None, Flag("Folder with clones named OWNER+NAME, OWNER__NAME or OWNER/NAME.")
    ] = None
    cache: Annotated[
        Path | None, Flag("Where native environments are kept.", shown="the user's cache", advanced=True)
    ] = None


class DatasetSettings(MirrorSettings):
    """What `batch` and `eval` share."""

    title: ClassVar[str] = "Dataset"

    dataset: Annotated[
        str | None,
        Flag(
            "verified, lite, full, multilingual, multimodal, swe-gym, swe-smith, swe-rebench, a .json, .jsonl or "
            ".parquet file, - or a hub id.",
            once=True,
        ),
    ] = None
    split: Annotated[str | None, Flag("Split of a hub dataset.", once=True)] = None
    benchmark: Annotated[
        str | None,
        AfterValidator(benchmark_name),
        Flag("Read --dataset as this, or as what a plug-in offers.", choices=BENCHMARK_NAMES, once=True),
    ] = None
    instances: Annotated[
        list[str], Flag("Instance ids, comma-separated, or @FILE; repeatable.", metavar="IDS", once=True)
    ] = Field(default_factory=list[str])
    filter: Annotated[str | None, Flag("Regular expression on the instance id.", metavar="RE", once=True)] = (
        None
    )
    slice: Annotated[
        str | None, Flag("Of the instances, after filter and shuffle.", metavar="A:B", once=True)
    ] = None
