"""Size, records per second and peak memory of each export.

    python bench/export.py [--records 2000] [--steps 60] [--kinds sft,dpo] [--json FILE]

Records are synthetic (two branches, 300 characters an observation, token ids) and are made once; each kind is
exported by its own process, so that its peak is its own. `x` is the size of a kind over that of the records: no kind
may be over 1.5, at any number of steps. `verify` is the re-check of the sft directory.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = (
    "sft",
    "sft_pc",
    "sft_tokens",
    "dpo",
    "kto",
    "reward",
    "orm",
    "prm",
    "grpo",
    "rollouts",
    "acecoder",
    "cure",
    "atif",
    "preds",
)


def make(path: Path, records: int, steps: int) -> None:
    from swe_agent.orchestrator.record.synthetic import synthetic_records
    from swe_agent.orchestrator.record.trajectory_file import write_trajectories

    write_trajectories(path, synthetic_records(records, steps=steps, branches=2, observation_chars=300))


def one(kind: str, path: Path, out: Path) -> dict[str, float]:
    """Export one kind in this process."""
    from swe_agent.orchestrator.record.trajectory_file import read_trajectories
    from swe_agent.orchestrator.training.export.export import export
    from swe_agent.orchestrator.training.export.verify import verify

    started, cpu = time.perf_counter(), time.process_time()
    rows = 0
    if kind == "verify":
        rows = sum(verify(out).values())
    else:
        done = export(read_trajectories(path), [kind], out)
        rows = sum(count for name, count in done.rows.items() if "/" in name)
    return {
        "rows": rows,
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, path, out = options.one
        print(json.dumps(one(kind, Path(path), Path(out))))
        return
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="swe-agent-bench-") as folder:
        path = Path(folder) / "records.jsonl"
        started = time.perf_counter()
        make(path, options.records, options.steps)
        size = path.stat().st_size / 2**20
        print(f"{options.records} records of {options.steps} steps a path: {size:.0f} MiB", end=" ")
        print(f"made in {time.perf_counter() - started:.0f} s")
        print(
            f"{'kind':<11}{'rows':>9}{'MiB':>9}{'x':>7}{'records/s':>11}{'CPU ms/record':>15}{'peak MiB':>10}"
        )
        for kind in (*options.kinds.split(","), "verify"):
            out = Path(folder) / ("sft" if kind == "verify" else kind)
            if kind == "verify" and not out.exists():
                continue
            command = [sys.executable, __file__, "--one", kind, str(path), str(out)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            written = sum(file.stat().st_size for file in out.glob(f"{kind}/*")) / 2**20
            print(
                f"{kind:<11}{found['rows']:>9}{written:>9.0f}{written / size:>7.2f}"
                f"{options.records / found['wall_s']:>11.0f}{1000 * found['cpu_s'] / options.records:>15.2f}"
                f"{found['peak_mib']:>10.0f}",
                flush=True,
            )
            results[kind] = found
            if kind != "sft":
                shutil.rmtree(out, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
