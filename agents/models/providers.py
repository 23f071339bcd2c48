"""Providers: which wire a model name takes, where it leads and which key it needs. No network, no SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ...tools.errors import CredentialsError, UsageError
from ...tools.plugins import installed
from ...tools.proxies import http_options
from .api_base import base_of
from .calls import ModelOptions
from .catalog import ModelFacts, facts_of, known_providers

WireName = Literal["openai", "litellm", "scripted", "client"]
ReasoningStyle = Literal["none", "reasoning_content", "reasoning_details", "thinking_blocks"]

CLIENTS = {"offline/repair": "swe_agent.agents.offline.client:OfflineRepairClient"}
"""Models that are programs: name → `module:class` of a ChatCompletionClient."""


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one model."""

    model: str
    """The name as the user wrote it."""
    wire: WireName
    name: str
    """The name as the wire sends it."""
    provider: str
    base_url: str | None = None
    key_vars: tuple[str, ...] = ()
    """Environment variables of which one holds the key, in order."""
    key_required: bool = True
    reasoning: ReasoningStyle = "none"
    """How earlier reasoning goes back to the provider."""
    cache_control: bool = False
    """Mark the prompt for Anthropic's prompt cache."""
    token_ids: bool = False
    """vLLM's `return_token_ids` is understood."""
    max_tokens_field: str = "max_tokens"
    context_window: int | None = None
    """Asked for, where the endpoint would otherwise take a small one and cut prompts silently (Ollama)."""
    is_llm: bool = True

    def keys(self, options: ModelOptions) -> tuple[str, ...]:
        """The keys to use, in order; several are separated by commas in the variable."""
        if options.api_keys:
            return options.api_keys
        for variable in self.key_vars:
            value = os.environ.get(variable, "").strip()
            if value:
                return tuple(key.strip() for key in value.split(",") if key.strip())
        return ()


@dataclass(frozen=True, slots=True)
class _Compatible:
    """An endpoint that speaks OpenAI's chat completions."""

    base_url: str | None
    base_vars: tuple[str, ...]
    key_vars: tuple[str, ...]
    key_required: bool = True
    reasoning: ReasoningStyle = "none"
    token_ids: bool = False
    max_tokens_field: str = "max_tokens"


OPENAI = "https://api.openai.com/v1"
_COMPATIBLE: Mapping[str, _Compatible] = {
    "openai": _Compatible(
        OPENAI,
        ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        ("OPENAI_API_KEY",),
        max_tokens_field="max_completion_tokens",
    ),
    "hosted_vllm": _Compatible(
        None,
        ("HOSTED_VLLM_API_BASE",),
        ("HOSTED_VLLM_API_KEY",),
        key_required=False,
        reasoning="reasoning_content",
        token_ids=True,
    ),
    "ollama": _Compatible(
        "http://localhost:11434/v1",
        ("OLLAMA_API_BASE", "OLLAMA_HOST"),
        ("OLLAMA_API_KEY",),
        key_required=False,
    ),
    "lm_studio": _Compatible(
        "http://localhost:1234/v1",
        ("LM_STUDIO_API_BASE",),
        ("LM_STUDIO_API_KEY",),
        key_required=False,
    ),
    "litellm_proxy": _Compatible(None, ("LITELLM_PROXY_API_BASE",), ("LITELLM_PROXY_API_KEY",)),
    "openrouter": _Compatible(
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_BASE",),
        ("OPENROUTER_API_KEY",),
        reasoning="reasoning_details",
    ),
    "deepseek": _Compatible(
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_BASE",),
        ("DEEPSEEK_API_KEY",),
        reasoning="reasoning_content",
    ),
}

_KEYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "azure": ("AZURE_API_KEY",),
    "azure_ai": ("AZURE_AI_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "codestral": ("CODESTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_API_KEY"),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "zai": ("ZAI_API_KEY",),
    "minimax": ("MINIMAX_API_KEY",),
    "huggingface": ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    "replicate": ("REPLICATE_API_KEY",),
    "databricks": ("DATABRICKS_API_KEY",),
    "novita": ("NOVITA_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "ai21": ("AI21_API_KEY",),
    "github": ("GITHUB_API_KEY",),
}
"""Key variables of providers that go through litellm."""

_KEYLESS = frozenset({"ollama_chat", "vertex_ai", "bedrock", "bedrock_converse", "sagemaker", "github_copilot",
                      "llamafile", "xinference", "oobabooga", "petals", "custom", "vllm"})  # fmt: skip
_PACKAGES = {
    "bedrock": "boto3",
    "bedrock_converse": "boto3",
    "sagemaker": "boto3",
    "vertex_ai": "google.auth",
}
_BARE = {
    "gpt-": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "chatgpt-": "openai", "ft:": "openai",
    "codex-": "openai", "claude-": "anthropic", "gemini-": "gemini", "deepseek-": "deepseek",
    "mistral-": "mistral", "codestral-": "mistral", "devstral-": "mistral", "grok-": "xai",
}  # fmt: skip


def route_of(model: str, options: ModelOptions) -> Route:
    """Find the way to `model`. Reads the environment; touches no network.

    Raises: CredentialsError when the name is empty or names no known provider.
    """
    if not model or model != model.strip() or any(c.isspace() for c in model):
        raise CredentialsError(
            f"the model name {model!r} is not valid; for example --model openai/gpt-5-mini"
        )
    if model in CLIENTS:
        return Route(model, "client", CLIENTS[model], "offline", key_required=False, is_llm=False)
    provider, slash, name = model.partition("/")
    if slash and provider == "autogen":
        return Route(model, "client", name, "autogen", key_required=False)
    if slash and provider == "plugin":
        entry = installed("models").get(name)
        if entry is None:
            known = ", ".join(f"plugin/{known}" for known in installed("models")) or "none"
            raise CredentialsError(f"no installed package offers the model {model} (there is: {known})")
        return Route(model, "client", entry.value, "plugin", key_required=False)
    if slash and provider == "scripted":
        return Route(model, "scripted", name, "scripted", key_required=False, is_llm=False)
    if slash and provider == "offline":
        raise CredentialsError(f"unknown model {model}; the offline model is called offline/repair")
    if not slash:
        provider, name = _bare(model, options), model
    if not name:
        raise CredentialsError(f"the model name {model!r} ends after its provider; write {provider}/NAME")
    if provider in _COMPATIBLE:
        return _compatible(model, provider, name, options)
    if provider in _KEYS or provider in _KEYLESS or provider in known_providers():
        return _through_litellm(model, provider, name)
    if options.api_base:
        return _compatible(model, "openai", model, options)
    known = sorted({*_COMPATIBLE, *_KEYS, *_KEYLESS})
    close = get_close_matches(provider, known, 1)
    hint = f"did you mean {close[0]}/{name}?" if close else "for your own endpoint give --api-base"
    raise CredentialsError(f"unknown provider {provider!r} in the model name {model}; {hint}")


def check_model(model: str, options: ModelOptions) -> None:
    """Whether calls to `model` and its fallbacks could be made, without making one. Takes milliseconds.

    Raises: CredentialsError naming the variable to set, the package to install or the name to correct.
    """
    for name in (model, *options.fallbacks):
        _check(route_of(name, options), options)


def _check(route: Route, options: ModelOptions) -> None:
    if route.wire == "client":
        _check_client(route)
        return
    if route.wire == "scripted":
        if not Path(route.name).is_file():
            raise CredentialsError(f"the script of the model {route.model} does not exist: {route.name}")
        return
    if route.wire == "openai" and route.base_url is None:
        variable = _COMPATIBLE[route.provider].base_vars[0]
        raise CredentialsError(f"{route.model} needs an endpoint: give --api-base or set {variable}")
    package = _PACKAGES.get(route.provider)
    if package is not None and _missing(package):
        raise CredentialsError(
            f"{route.model} needs the Python package {package.split('.')[0]}, which is not installed"
        )
    if route.wire == "litellm" and _missing("litellm"):
        raise CredentialsError(f"{route.model} needs the Python package litellm, which is not installed")
    if any(not key.isascii() or any(c.isspace() for c in key) for key in route.keys(options)):
        names = " or ".join(route.key_vars)
        raise CredentialsError(
            f"the API key of {route.model} holds characters that no key has; check {names}"
        )
    if route.base_url is not None:
        try:
            http_options(route.base_url)
        except UsageError as error:
            raise CredentialsError(f"{route.model} cannot be reached: {error}") from error
    if route.key_required and not route.keys(options):
        names = " or ".join(route.key_vars) if route.key_vars else "its API key"
        raise CredentialsError(f"no API key for {route.model}: set {names}, or choose another --model")


def _check_client(route: Route) -> None:
    module, colon, name = route.name.partition(":")
    if not (module and colon and name):
        raise CredentialsError(
            f"the model name {route.model!r} must be autogen/MODULE:NAME, a ChatCompletionClient or what makes one"
        )
    if _missing(module):
        raise CredentialsError(
            f"{route.model}: there is no Python module {module}; is its folder on PYTHONPATH?"
        )


def _missing(package: str) -> bool:
    try:
        return find_spec(package) is None
    except (ImportError, ValueError):
        return True


def _bare(model: str, options: ModelOptions) -> str:
    if options.api_base:
        return "openai"
    for prefix, provider in _BARE.items():
        if model.startswith(prefix):
            return provider
    if os.environ.get("OPENAI_BASE_URL"):
        return "openai"
    raise CredentialsError(
        f"unknown model {model!r}: name its provider (openai/{model}, anthropic/{model}, ...), or give --api-base"
    )


def _compatible(model: str, provider: str, name: str, options: ModelOptions) -> Route:
    endpoint = _COMPATIBLE[provider]
    base = options.api_base
    for variable in endpoint.base_vars:
        base = base or os.environ.get(variable, "").strip() or None
    official = base is None
    base = base or endpoint.base_url
    if base is not None:
        base = base_of(base)
        if provider == "ollama" and not base.endswith("/v1"):
            base += "/v1"
    elsewhere = provider == "openai" and not official and "api.openai.com" not in (base or "")
    return Route(
        model,
        "openai",
        name,
        provider,
        base_url=base,
        key_vars=endpoint.key_vars,
        key_required=endpoint.key_required and not elsewhere,
        reasoning="reasoning_content" if elsewhere else endpoint.reasoning,
        cache_control=provider in ("openrouter", "litellm_proxy")
        and ("claude" in name or "anthropic/" in name),
        token_ids=endpoint.token_ids,
        max_tokens_field="max_tokens" if elsewhere else endpoint.max_tokens_field,
    )


def _through_litellm(model: str, provider: str, name: str) -> Route:
    claude = "claude" in name or provider == "anthropic"
    return Route(
        model,
        "litellm",
        f"{provider}/{name}",
        provider,
        key_vars=_KEYS.get(provider, (f"{provider.upper()}_API_KEY",)),
        key_required=provider not in _KEYLESS,
        reasoning="thinking_blocks"
        if claude
        else "reasoning_content"
        if provider == "ollama_chat"
        else "none",
        cache_control=claude
        and provider in ("anthropic", "bedrock", "bedrock_converse", "vertex_ai", "azure_ai"),
        context_window=_ollama_window() if provider == "ollama_chat" else None,
    )


def _ollama_window() -> int:
    """Ollama's own variable for its window, else one that a repository's files fit into."""
    value = os.environ.get("OLLAMA_CONTEXT_LENGTH", "")
    return int(value) if value.isdigit() and int(value) > 0 else 32_768


def facts_for(route: Route) -> ModelFacts:
    """The catalog's entry of the model behind `route`."""
    return facts_of(route.model if route.wire != "litellm" else route.name)
