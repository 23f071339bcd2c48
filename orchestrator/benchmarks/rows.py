"""Rows of SWE-bench-like datasets, both generations, read into instances.

4.x rows carry FAIL_TO_PASS and PASS_TO_PASS as JSON strings and need the environment specifications;
5.x rows add `image`, `eval_script`, `log_parser` and `eval_type`. SWE-Gym, SWE-smith and SWE-rebench
rows differ in where the image and the recipe stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...tools.errors import UsageError
from .instance import Instance
from .sealed import Evaluation, Gold

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_REQUIRED = ("instance_id", "problem_statement")


def instance_of(row: Mapping[str, Any], *, where: str = "row", benchmark: str = "swe-bench") -> Instance:
    """Read one row. Raises: UsageError naming the column that is missing or malformed."""
    for column in _REQUIRED:
        if not isinstance(row.get(column), str) or (column == "instance_id" and not row[column].strip()):
            raise UsageError(
                f"{where}: column {column!r} is missing or not text; is this a SWE-bench dataset?"
            )
    name = row["instance_id"].strip()
    if not re.fullmatch(r"[A-Za-z0-9][\w.+@-]*", name):
        raise UsageError(f"{where}: instance_id {name!r} is not usable as a name")
    repo, smith = _repository(row, name)
    base = str(row.get("base_commit") or "")
    if not base and not smith:
        raise UsageError(f"{where}: {name} has no base_commit")
    patch = str(row.get("patch") or "")
    recipe = row.get("install_config")
    recipe = _decoded(recipe, f"{where}: install_config") if recipe else {}
    if isinstance(recipe, Mapping) and row.get("requirements"):
        recipe = {**recipe, "freeze": row["requirements"]}
    gold = Gold(
        # a SWE-smith row's patch is the bug; what solves it is the way back
        patch=reverse_diff(patch) if smith else patch,
        test_patch=str(row.get("test_patch") or ""),
        fail_to_pass=_tests(row.get("FAIL_TO_PASS"), f"{where}: FAIL_TO_PASS"),
        pass_to_pass=_tests(row.get("PASS_TO_PASS"), f"{where}: PASS_TO_PASS"),
        eval_script=row.get("eval_script") or None,
        log_parser=row.get("log_parser")
        or (recipe.get("log_parser") if isinstance(recipe, Mapping) else None),
        fail_only=row.get("eval_type") == "fail_only",
    )
    assets = row.get("image_assets")
    assets = _decoded(assets, f"{where}: image_assets") if assets else {}
    shown = assets.get("problem_statement", []) if isinstance(assets, Mapping) else []
    return Instance(
        id=name,
        repo=repo,
        base_commit=base,
        problem_statement=row["problem_statement"],
        evaluation=Evaluation(name, gold),
        hints=str(row.get("hints_text") or ""),
        created_at=_date(row.get("created_at")),
        version=str(row["version"]) if row.get("version") not in (None, "") else None,
        environment_commit=row.get("environment_setup_commit") or None,
        image=_image(row, name, benchmark, smith=smith),
        language=str(row.get("language") or "python").lower(),
        benchmark=benchmark,
        images=tuple(str(item.get("url") if isinstance(item, Mapping) else item) for item in shown or ()),
        recipe=recipe if isinstance(recipe, Mapping) else {},
    )


def reverse_diff(text: str) -> str:
    """The unified diff that undoes `text` (no renames, no binary hunks)."""
    out: list[str] = []
    source = ""
    old = new = 0  # lines left of the hunk: only there may a line start with `--- ` and be content
    for line in text.splitlines(keepends=True):
        if old > 0 or new > 0:
            old -= line[:1] in " -\n"
            new -= line[:1] in " +\n"
            out.append({"+": "-", "-": "+"}.get(line[0], line[0]) + line[1:])
        elif found := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in (found[2], found[4]))
            before, after = line.split(" ")[1:3]
            rest = line.split("@@", 2)[2]
            out.append(f"@@ -{after[1:]} +{before[1:]} @@{rest}")
        elif line.startswith("--- "):
            source = line[4:]
        elif line.startswith("+++ "):
            out += [f"--- {_other_side(line[4:], 'b/', 'a/')}", f"+++ {_other_side(source, 'a/', 'b/')}"]
        elif line.startswith("new file mode"):
            out.append(line.replace("new file mode", "deleted file mode"))
        elif line.startswith("deleted file mode"):
            out.append(line.replace("deleted file mode", "new file mode"))
        elif not line.startswith("index "):
            out.append(line)
    return "".join(out)


def _other_side(name: str, old: str, new: str) -> str:
    return new + name[len(old) :] if name.startswith(old) else name


def _repository(row: Mapping[str, Any], name: str) -> tuple[str, bool]:
    repo = str(row.get("repo") or "")
    if not repo:
        repo = name.rsplit("-", 1)[0].replace("__", "/", 1)
    smith = repo.startswith("swesmith/") or bool(re.fullmatch(r".+__.+\.[0-9a-f]{8}\..+", name))
    return repo, smith


def _image(row: Mapping[str, Any], name: str, benchmark: str, *, smith: bool) -> str | None:
    for column in ("image", "docker_image", "image_name"):
        if row.get(column):
            image = str(row[column])
            return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
    if smith:
        return None
    if "gym" in benchmark.lower():
        return f"xingyaoww/sweb.eval.x86_64.{name.lower().replace('__', '_s_')}:latest"
    return official_image(name)


def official_image(instance_id: str) -> str:
    """Name of the SWE-bench evaluation image (x86-64)."""
    return f"swebench/sweb.eval.x86_64.{instance_id.lower().replace('__', '_1776_')}:latest"


def _tests(value: Any, where: str) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    decoded = _decoded(value, where)
    if hasattr(decoded, "tolist"):  # parquet readers hand out arrays
        decoded = decoded.tolist()
    if not isinstance(decoded, (list, tuple)) or not all(isinstance(item, str) for item in decoded):
        raise UsageError(f"{where} is not a list of test ids")
    return tuple(decoded)


def _decoded(value: Any, where: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise UsageError(f"{where} is not valid JSON: {error}") from error


def _date(value: Any) -> str | None:
    """ISO 8601 text of a date column (text, datetime or milliseconds since 1970)."""
    if value in (None, ""):
        return None
    if isinstance(value, (int, float)):
        from datetime import UTC, datetime

        return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC).isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
