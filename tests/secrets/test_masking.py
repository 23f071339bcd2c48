from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.tools.secrets import Masker, host_secrets

KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq1\n" * 3 + "-----END RSA PRIVATE KEY-----"
TOKENS = {
    "openai": "sk-abcDEF1234567890abcDEF1234567890",
    "openai-project": "sk-proj-abc_DEF-1234567890abcDEF1234567890",
    "anthropic": "sk-ant-api03-abc_DEF-1234567890abcDEF",
    "github": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github-fine": "github_pat_11ABCDEFG0abcdefghijkl_ABCDEFGHIJabcdefghij0123456789",
    "gitlab": "glpat-abcdef_1234567890-xyz",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "slack": "xoxb-123456789012-abcdefghijklmnop",
    "huggingface": "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "private key": KEY,
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("form", ["{}", "token={}", '"{}"', "x {} y", "https://h/?k={}&y=1", "({})"])
def test_well_known_shapes(name: str, form: str) -> None:
    masker = Masker()
    masked = masker.mask(form.format(TOKENS[name]))
    assert TOKENS[name] not in masked
    assert "[masked:" in masked
    before, _, after = form.partition("{}")
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert masker.counts.total() == 1


def test_headers_and_urls_keep_what_is_no_secret() -> None:
    masker = Masker()
    assert (
        masker.mask("Authorization: Bearer abcdef0123456789abcdef") == "Authorization: Bearer [masked:bearer]"
    )
    masked = masker.mask("https://user:abc123def456ghi789@example.org/x")
    assert masked == "https://user:[masked:url-password]@example.org/x"


def test_a_key_cut_off_by_an_excerpt_is_masked() -> None:
    assert "MIIEpAIBAA" not in Masker().mask(KEY[: len(KEY) // 2])


def test_values_of_the_environment() -> None:
    env = {
        "OPENAI_API_KEY": "no-known-shape-4711",
        "MY_SERVICE_TOKEN": "abcdefghijklmnop",
        "DB_PASSWORD": "line one 1234\nline two 5678",
        "HOME": "/home/somebody-with-a-long-name",
        "PATH": "/usr/bin:/usr/local/bin",
        "KEY_FILE": "/etc/ssl/private.key",
        "PASSWORD": "password",
        "TOKENIZERS_PARALLELISM": "false-but-long-enough",
        "EMPTY_TOKEN": "",
    }
    assert set(host_secrets(env)) == {"OPENAI_API_KEY", "MY_SERVICE_TOKEN", "DB_PASSWORD", "PASSWORD"}
    masker = Masker(env)
    text = (
        "no-known-shape-4711 abcdefghijklmnop, line two 5678; /home/somebody-with-a-long-name your password"
    )
    masked = masker.mask(text)
    assert masked == (
        "[masked:value] [masked:value], [masked:value]; /home/somebody-with-a-long-name your password"
    )
    assert masker.counts == {"value": 3}


def test_given_values_and_the_longest_first() -> None:
    masker = Masker(values=["abc123def456", "abc123def456ghi789"])
    assert masker.mask("abc123def456ghi789") == "[masked:value]"
    masker.add("another-secret-99")
    assert masker.mask_values("another-secret-99 " + TOKENS["aws"]) == f"[masked:value] {TOKENS['aws']}"


def test_json() -> None:
    masker = Masker(values=["abc123def456"])
    value = {"a": ["x abc123def456", 1, None, True, 2.5], "abc123def456": {"b": ("y",)}}
    masked = masker.mask_json(value)
    assert masked == {"a": ["x [masked:value]", 1, None, True, 2.5], "[masked:value]": {"b": ["y"]}}
    json.dumps(masked)


@pytest.mark.parametrize(
    "text",
    [
        "sk-toggleable__label-arrow:before and sk-estimator-doc-link",
        "use bearer token-based-authentication-with-care here",
        "postgres://user:pass@localhost/db",
        "commit 8f14e45fceea167a5a36dedd4bea2543a1b2c3d4 and sha256:" + "a1" * 32,
        "AKIA is a prefix; ghp_ too; eyJ starts base64",
        "def test_risk_analysis(task_key): assert token == secret_value",
        "Authorization: Basic realm",
        "xoxo-love and glad-you-came-to-the-party-today",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Masker({"MY_TOKEN": "hunter2hunter2"}).mask(text) == text


_SAFE = st.text(alphabet=st.characters(blacklist_characters="-_:", blacklist_categories=["Cs"]), max_size=300)


@given(_SAFE)
def test_text_without_the_marks_of_tokens_is_never_touched(text: str) -> None:
    """Every shape but AWS's needs one of - _ : or a dot between base64 words."""
    if "AKIA" not in text and "ASIA" not in text and "AIza" not in text and "earer" not in text.lower():
        assert Masker().mask(text) == text or "eyJ" in text


_WORDS = st.lists(
    st.sampled_from([*TOKENS.values(), "plain", " ", "\n", "[masked:value]", "secretvalue99", "bearer "])
)


@given(_WORDS.map("".join), st.lists(st.text(min_size=8, max_size=30), max_size=3))
def test_masking_twice_is_masking_once(text: str, values: list[str]) -> None:
    masker = Masker(values=["secretvalue99", *values])
    once = masker.mask(text)
    assert masker.mask(once) == once
    assert "secretvalue99" not in once


@given(
    st.text(max_size=50),
    st.text(alphabet="abcDEF0123456789+/=_-", min_size=14, max_size=60),
    st.text(max_size=50),
)
def test_a_known_value_never_survives(before: str, value: str, after: str) -> None:
    masker = Masker({"X_TOKEN": value})
    if not value.isdigit() and not value.startswith("/"):
        assert value not in masker.mask(before + value + after)
