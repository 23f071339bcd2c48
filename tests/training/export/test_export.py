"""Exports: columns, determinism, filters, refusals, secrets."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.agents.models.arguments import sendable
from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import load
from swe_agent.orchestrator.training.export.export import export
from swe_agent.orchestrator.training.export.options import FORMATS, ExportOptions
from swe_agent.orchestrator.training.export.verify import verify
from swe_agent.tools.errors import ExportError

COLUMNS = {
    "sft": ["messages", "tools", "role", "metadata"],
    "sft_pc": ["prompt", "completion", "tools", "role", "repaired_calls"],
    "sft_tokens": ["input_ids", "labels"],
    "dpo": ["prompt", "chosen", "rejected", "tools", "margin", "repaired_calls"],
    "kto": ["prompt", "completion", "label", "tools", "repaired_calls"],
    "reward": ["chosen", "rejected", "tools", "margin", "repaired_calls"],
    "orm": ["prompt", "completion", "label"],
    "prm": ["prompt", "completions", "labels", "values", "rewards", "advantages"],
    "grpo": [
        *("prompt", "instance_id", "repository", "base_commit", "problem_statement", "fail_to_pass"),
        *("test_patch", "test_files", "test_cmd", "setup", "python", "docker_image"),
    ],
    "rollouts": [
        *(
            "group_id",
            "prompt",
            "prompt_ids",
            "completion_ids",
            "env_mask",
            "logprobs",
            "reward",
            "advantage",
            "step_advantages",
            "repaired_calls",
        ),
        *("reward/coverage", "reward/gate:leak", "reward/gate:protected", "reward/gate:regression"),
        *("reward/lint", "reward/tests", "reward/time"),
    ],
}


def rows(folder, kind, name="train"):
    return [json.loads(line) for line in (folder / kind / f"{name}.jsonl").read_text().splitlines()]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_all_writes_each_kind_into_its_folder(everything):
    assert verify(everything)
    for kind, columns in COLUMNS.items():
        found = rows(everything, kind)
        assert found, kind
        assert all(list(row) == columns for row in found), kind
    assert {path.name for path in everything.iterdir()} == {
        *FORMATS,
        "manifest.json",
        "trajectories.jsonl",
        "record.schema.json",
        "README.md",
    }


def test_only_sampled_messages_are_completions_and_each_once(everything):
    record = synthetic_record(0, steps=8, branches=3)
    said = [message.content for message in record.messages if message.sampled]
    out = [
        row["completion"][0]["content"]
        for row in rows(everything, "sft_pc")
        if f"issue {0}." in row["prompt"][1]["content"]
    ]
    assert sorted(out) == sorted(said)


def test_labels_of_token_rows_are_the_sampled_ids_each_once(everything):
    record = synthetic_record(0, steps=8, branches=3)
    count = sum(sum(message.tokens.mask) for message in record.messages if message.sampled)
    exported = rows(everything, "sft_tokens")
    trained = [sum(label != -100 for label in row["labels"]) for row in exported[:3]]
    assert sum(trained) == count
    assert all(
        label in (-100, one)
        for row in exported
        for one, label in zip(row["input_ids"], row["labels"], strict=True)
    )


def test_a_pair_shares_its_prompt_and_the_better_branch_is_chosen(everything):
    for row in rows(everything, "dpo"):
        assert row["margin"] > 0
        assert row["prompt"][-1]["role"] == "tool"
        assert row["chosen"] != row["rejected"]
        assert "(n1," in row["chosen"][0]["content"] or "(n1," not in row["rejected"][0]["content"]


def test_kto_mixes_its_classes(everything):
    labels = [row["label"] for row in rows(everything, "kto")]
    good = sum(labels)
    assert 0 < good < len(labels)
    window = 2 * (len(labels) // good + 1)
    assert all(len(set(labels[at : at + window])) == 2 for at in range(len(labels) - window))


def test_steps_know_whether_a_good_leaf_is_reachable(everything):
    for row in rows(everything, "prm"):
        assert row["labels"][0] is True
        assert 0 < row["values"][0] < 1
        root = row["values"][0] - row["rewards"][0]
        assert sum(row["rewards"]) == pytest.approx(row["values"][-1] - root, abs=1e-4), "they telescope"
        assert len(set(row["labels"][4:])) == 1


def test_the_same_input_and_seed_give_the_same_bytes(tmp_path):
    options = ExportOptions(split=0.3, seed=7)
    for name in ("a", "b"):
        export(synthetic_records(8, steps=6, branches=3), ["all"], tmp_path / name, options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    export(synthetic_records(8, steps=6, branches=3), ["kto"], tmp_path / "c", ExportOptions(seed=8))
    assert rows(tmp_path / "c", "kto") != rows(tmp_path / "a", "kto")


@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.01, 0.9), seed=st.integers(0, 99))
def test_a_split_keeps_an_instance_on_one_side(tmp_path_factory, share, seed):
    out = tmp_path_factory.mktemp("split") / "out"
    export(synthetic_records(10, steps=4), ["sft", "grpo"], out, ExportOptions(split=share, seed=seed))
    sides = [
        {json.loads(row["metadata"])["instance_id"] for row in rows(out, "sft", name)}
        for name in ("train", "test")
    ]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 10
    assert {row["instance_id"] for row in rows(out, "grpo", "test")} == sides[1]


@pytest.mark.parametrize(
    ("options", "kind", "reason"),
    [
        (ExportOptions(only="resolved"), "sft", "not_resolved"),
        (ExportOptions(only="verified"), "sft_pc", "not_verified"),
        (ExportOptions(), "sft", "failed_candidate"),
        (ExportOptions(min_margin=9.0), "dpo", "min_margin"),
        (ExportOptions(only="all", min_reward=0.9), "sft", "min_reward"),
        (ExportOptions(min_reward=0.9), "rollouts", "min_reward"),
        (ExportOptions(only="all", max_per_instance=1), "sft", "max_per_instance"),
        (ExportOptions(only="all", max_tokens=20), "sft", "max_tokens"),
        (ExportOptions(only="all", max_tokens=20), "sft_tokens", "max_tokens"),
        (ExportOptions(max_tokens=105), "kto", "max_tokens"),
    ],
)
def test_what_a_filter_leaves_out_is_counted(tmp_path, options, kind, reason):
    everything = ExportOptions(only="all", min_margin=0.0, max_growth=0)
    all_rows = export(synthetic_records(4), [kind], tmp_path / "all", everything).rows[f"{kind}/train.jsonl"]
    done = export(synthetic_records(4), [kind], tmp_path / "some", options)
    left = done.rows[f"{kind}/train.jsonl"]
    assert left < all_rows
    if kind != "sft_pc":  # there rows share a prefix with a path that was left out
        assert left + done.manifest["dropped"][kind][reason] == all_rows
    assert done.manifest["filters"] == options.to_json()


def test_steps_of_programs_are_left_out_unless_asked_for(tmp_path):
    done = export(synthetic_records(3, is_llm=False), ["all"], tmp_path / "a", ExportOptions(only="all"))
    assert [
        rows for name, rows in done.rows.items() if name.split("/")[0] in ("sft", "dpo", "kto", "rollouts")
    ] == [0] * 4
    assert done.manifest["dropped"]["sft"] == {"offline": 6}
    done = export(
        synthetic_records(3, is_llm=False), ["all"], tmp_path / "b", ExportOptions(include_offline=True)
    )
    assert done.rows["sft/train.jsonl"] == 3, "the other three failed their tests"


def test_infrastructure_failures_and_unmeasured_rewards_are_no_rows(tmp_path):
    record = synthetic_record(1, branches=3)
    record.nodes[1].exit_status, record.nodes[1].reward = "infrastructure", None
    record.evaluations = [found for found in record.evaluations if found.node != record.nodes[2].id]
    done = export([record], ["rollouts", "sft", "preds"], tmp_path / "out", ExportOptions(only="all"))
    assert done.manifest["dropped"]["rollouts"] == {"infrastructure": 1, "no_reward": 1}
    assert done.manifest["dropped"]["sft"] == {"infrastructure": 1}
    assert all(row["reward"] is not None for row in rows(tmp_path / "out", "rollouts"))


def test_equal_patches_are_one_candidate_over_all_runs(tmp_path):
    done = export(
        [synthetic_record(1), synthetic_record(1)],
        ["sft", "orm", "grpo"],
        tmp_path / "out",
        ExportOptions(only="all"),
    )
    assert done.manifest["dropped"]["sft"] == {"duplicate": 2}
    assert done.manifest["dropped"]["orm"] == {"duplicate": 2}
    assert done.manifest["dropped"]["grpo"] == {"repeated_task": 1}


def test_malformed_calls_are_never_trained_and_what_came_after_them_is_marked(tmp_path):
    record = synthetic_record(1, branches=1, steps=5)
    for call in record.calls:
        call.prompt_sha256 = None
    sampled = [message for message in record.messages if message.sampled]
    bad = sampled[2]
    bad.tool_calls[0].function.arguments, bad.tool_calls[0].arguments_parsed = '{"path": "a.py', None
    kinds = ["sft", "sft_pc", "sft_tokens", "kto", "rollouts"]
    done = export([record], kinds, tmp_path / "out", ExportOptions(only="all"))
    assert done.manifest["dropped"]["sft"] == {"malformed_arguments": 1}
    assert done.manifest["dropped"]["sft_pc"] == {"malformed_arguments": 1}
    completed = rows(tmp_path / "out", "sft_pc")
    assert [row["repaired_calls"] for row in completed] == [0, 0, *[1] * (len(sampled) - 3)]
    shown = [
        call["function"]["arguments"]
        for message in completed[-1]["prompt"]
        for call in message.get("tool_calls", ())
        if call["id"] == bad.tool_calls[0].id
    ]
    assert shown == [json.loads(sendable('{"path": "a.py'))]
    (tokens,) = rows(tmp_path / "out", "sft_tokens")
    trained = sum(label != -100 for label in tokens["labels"])
    assert trained == sum(sum(message.tokens.mask) for message in sampled if message is not bad)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"split": "test"}, "split test"), ({"split": None, "benchmark": "swe-bench-verified"}, "benchmark")],
)
def test_benchmark_instances_are_refused(tmp_path, change, word):
    record = synthetic_record(1)
    record.task = record.task.model_copy(update=change)
    with pytest.raises(ExportError, match=word):
        export([record], ["sft"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert export([record], ["preds"], tmp_path / "preds").rows["preds/preds.json"] == 1
    assert export([record], ["sft"], tmp_path / "out", ExportOptions(allow_benchmark=True)).rows[
        "sft/train.jsonl"
    ]


SECRETS = {
    "github": "ghp_" + "a1B2" * 9,
    "openai": "sk-proj-" + "x9Y8z7" * 6,
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "url-password": "s3cr3tpass",
    "assigned-secret": "wJalrXUtnFEMIK7MDENGbPxRfiCY",
}
PLANTED = {
    "url-password": "https://bot:s3cr3tpass@host/x",
    "assigned-secret": 'secret_key = "wJalrXUtnFEMIK7MDENGbPxRfiCY"',
}


def test_planted_secrets_do_not_survive_and_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "value-of-the-host-7731")
    record = synthetic_record(1, steps=6)
    for call in record.calls:
        call.prompt_sha256 = None
    observed = [message for message in record.messages if message.role == "tool"]
    for message, (kind, secret) in zip(observed, SECRETS.items(), strict=False):
        message.content += f"\n{PLANTED.get(kind, secret)}\n"
    said = [message for message in record.messages if message.sampled][-1]
    arguments = {"summary": "the token is value-of-the-host-7731"}
    said.tool_calls[0].function.arguments = json.dumps(arguments)
    said.tool_calls[0].arguments_parsed = arguments
    record.patches[0].text += f"+{SECRETS['github']}\n"
    done = export([record], ["all"], tmp_path / "out", ExportOptions(include_offline=True))
    written = b"".join(contents(tmp_path / "out").values()).decode()
    for kind, secret in {**SECRETS, "value": "value-of-the-host-7731"}.items():
        assert secret not in written, kind
        assert json.dumps(secret)[1:-1] not in written, kind
        assert done.manifest["redacted"][kind] >= 1, kind
    assert done.manifest["token_ids_dropped_by_redaction"] > 0
    assert verify(tmp_path / "out")


def test_a_redacted_record_is_still_a_valid_record(tmp_path):
    record = synthetic_record(2, steps=4)
    from swe_agent.orchestrator.training.export.redact import Redactor

    clean = Redactor({"A_SECRET": record.messages[1].content}).record(record)
    assert "[masked:value]" in clean.messages[1].content
    assert load(clean.model_dump_json()) == clean


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda out: (out / "sft/train.jsonl").write_text(""), "rows"),
        (lambda out: (out / "kto/train.jsonl").unlink(), "missing"),
        (lambda out: (out / "sft/extra.jsonl").write_text("{}\n"), "not in the manifest"),
        (lambda out: swap(out / "sft/train.jsonl", '"role":"coder"', '"role":"c0der"'), "sha256"),
        (lambda out: swap(out / "dpo/train.jsonl", '"margin":', '"marge":'), "columns"),
        (lambda out: swap(out / "sft_pc/train.jsonl", '"content":"', '"content":null,"x":"'), "content"),
        (lambda out: swap(out / "sft/train.jsonl", "You fix", f"{SECRETS['github']} fix"), "secrets"),
        (lambda out: swap(out / "trajectories.jsonl", '"You fix', '"you fix'), "exact-prompt"),
        (lambda out: (out / "manifest.json").unlink(), "manifest"),
    ],
)
def test_verify_names_what_does_not_hold(everything, tmp_path, damage, word):
    out = tmp_path / "copy"
    shutil.copytree(everything, out)
    assert verify(out)
    damage(out)
    with pytest.raises(ExportError, match=word):
        verify(out)


def swap(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_two_paths_share_is_trained_once_from_atif(tmp_path):
    pytest.importorskip("atif", reason="needs the package atif")
    (record,) = synthetic_records(1, steps=6, branches=3)
    export([record], ["atif"], tmp_path / "out", ExportOptions(only="all"))
    documents = rows(tmp_path / "out", "atif")
    assert len(documents) == 3
    fresh = [
        step
        for document in documents
        for step in document["steps"]
        if step["source"] == "agent" and not step.get("is_copied_context")
    ]
    assert len(fresh) == sum(message.sampled for message in record.messages)
    assert documents[0]["steps"][2].get("is_copied_context") is None
    assert documents[1]["steps"][2]["is_copied_context"] is True
