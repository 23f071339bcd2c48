"""card: the dataset card of an export directory, from its manifest alone."""

from __future__ import annotations

from .manifest import Manifest

TRAINERS = {
    "sft": "SFTTrainer(assistant_only_loss=True); the chat template must mark generations",
    "sft_pc": "SFTTrainer",
    "sft_tokens": "SFTTrainer (labels are given; -100 is masked)",
    "dpo": "DPOTrainer (sigmoid, ipo, hinge)",
    "kto": "KTOTrainer",
    "reward": "RewardTrainer",
    "orm": "SFTTrainer: a generative verifier that answers YES or NO",
    "prm": "token classification: `labels` and `values` per step",
    "grpo": "GRPOTrainer(environment_factory=...)",
    "rollouts": "GRPOTrainer(rollout_func=...): replay",
    "acecoder": "RewardTrainer: pairs of patches by executed tests",
    "cure": "test files with the reward of their tests: weighted SFT, or replay",
    "atif": "interchange: Agent Trajectory Interchange Format 1.8",
}


def card(manifest: Manifest) -> str:
    """Markdown with the YAML head that the Hugging Face Hub reads."""
    tables = [name for name in manifest["files"] if name.count("/") == 1 and name.endswith("/train.jsonl")]
    lines = ["---", "pretty_name: swe-agent trajectories", "tags:", "- code", "- agent", "- trajectories"]
    lines += ["task_categories:", "- text-generation", "configs:"]
    for name in tables:
        kind = name.split("/")[0]
        lines += [f"- config_name: {kind}", "  data_files:", "  - split: train", f"    path: {name}"]
        if f"{kind}/test.jsonl" in manifest["files"]:
            lines += ["  - split: test", f"    path: {kind}/test.jsonl"]
    if not tables:
        lines[-1] = "configs: []"
    lines += ["---", "", "# swe-agent trajectories", ""]
    lines += [
        f"{manifest['runs']} runs, exported by {manifest['generator']} with seed {manifest['seed']}.",
        "",
    ]
    lines += ["| file | rows | columns | trainer |", "|---|---|---|---|"]
    for name, file in manifest["files"].items():
        columns = ", ".join(file["columns"]) if name != "trajectories.jsonl" else manifest["record_schema"]
        lines.append(f"| {name} | {file['rows']} | {columns} | {TRAINERS.get(name.split('/')[0], '')} |")
    lines += ["", "## Left out", ""]
    dropped = [
        f"- {kind}: " + ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        for kind, reasons in manifest["dropped"].items()
        if reasons
    ]
    lines += dropped or ["Nothing."]
    lines += ["", "## Secrets", ""]
    redacted = ", ".join(f"{kind} {count}" for kind, count in manifest["redacted"].items())
    lines.append(f"Removed: {redacted}." if redacted else "None were found.")
    lines += ["", "## Licences of the tasks", "", ", ".join(manifest["licences"]) or "unknown", ""]
    lines += [
        "## Loading",
        "",
        "Use `load_dataset('json', data_files='KIND/train.jsonl')`. Other readers (`Dataset.from_list`, pandas, "
        "plain pyarrow) add null keys to every tool call. A value of null was not measured; it is not 0.",
        "",
    ]
    return "\n".join(lines)
