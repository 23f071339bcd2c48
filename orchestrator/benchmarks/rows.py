"""Rows of SWE-bench-like datasets, read into instances.

4.x rows carry FAIL_TO_PASS and PASS_TO_PASS as JSON strings and need the environment specifications;
5.x rows add `image`, `eval_script`, `log_parser` and `eval_type`. SWE-Gym, SWE-smith and SWE-rebench
rows differ in where the image and the recipe stand; SWE-bench Pro rows are judged by a script and a
parser of their own (`pro.py`).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from ...tools.errors import UsageError
from .instance import Instance
from .reverse import reverse_diff
from .sealed import Gold, ProJudge, SealedGold

_REQUIRED = ("instance_id", "problem_statement")
_PRO_IMAGES = "jefzda/sweap-images"


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
    pro = _is_pro(row)
    base = str(row.get("base_commit") or "")
    if not base and not smith:
        raise UsageError(f"{where}: {name} has no base_commit")
    recipe = _recipe(row, where)
    return Instance(
        id=name,
        repo=repo,
        base_commit=base,
        problem_statement=_pro_statement(row) if pro else row["problem_statement"],
        evaluation=SealedGold(name, _gold(row, recipe, name, where, pro=pro, smith=smith)),
        hints=str(row.get("hints_text") or ""),
        created_at=_date(row.get("created_at")),
        version=str(row["version"]) if row.get("version") not in (None, "") else None,
        environment_commit=row.get("environment_setup_commit") or None,
        image=_image(row, name, benchmark, smith=smith),
        language=str(row.get("language") or row.get("repo_language") or "python").lower(),
        benchmark=benchmark,
        images=_pictures(row, where),
        recipe=recipe,
        judge="pro" if pro else "smith" if smith else "tests",
    )


def _gold(
    row: Mapping[str, Any], recipe: Mapping[str, Any], name: str, where: str, *, pro: bool, smith: bool
) -> Gold:
    patch = str(row.get("patch") or "")
    columns = ("fail_to_pass", "pass_to_pass") if pro else ("FAIL_TO_PASS", "PASS_TO_PASS")
    fail, kept = (_tests(row.get(column), f"{where}: {column}") for column in columns)
    if pro and not fail:
        raise UsageError(f"{where}: {name} names no test in fail_to_pass")
    return Gold(
        # a SWE-smith row's patch is the bug; what solves it is the way back
        patch=reverse_diff(patch, where=f"{where}: patch") if smith else patch,
        test_patch=str(row.get("test_patch") or ""),
        fail_to_pass=fail,
        pass_to_pass=kept,
        eval_script=row.get("eval_script") or None,
        log_parser=row.get("log_parser") or recipe.get("log_parser") or None,
        fail_only=row.get("eval_type") == "fail_only",
        pro=_pro_judge(row, where) if pro else None,
    )


def _is_pro(row: Mapping[str, object]) -> bool:
    return "FAIL_TO_PASS" not in row and any(
        column in row for column in ("fail_to_pass", "dockerhub_tag", "selected_test_files_to_run")
    )


def _pro_judge(row: Mapping[str, Any], where: str) -> ProJudge:
    missing = [name for name in ("before_repo_set_cmd", "selected_test_files_to_run") if not row.get(name)]
    if missing:
        raise UsageError(f"{where}: a SWE-bench Pro row needs {', '.join(missing)}")
    return ProJudge(
        before=str(row["before_repo_set_cmd"]),
        tests=_tests(row["selected_test_files_to_run"], f"{where}: selected_test_files_to_run"),
        run_script=row.get("run_script") or None,
        parser=row.get("parser_script") or row.get("parser") or None,
    )


def _pro_statement(row: Mapping[str, object]) -> str:
    """The task as the benchmark shows it: the problem, its requirements, the interface that tests rely on."""
    parts = [str(row["problem_statement"]).strip()]
    for column, title in (("requirements", "Requirements"), ("interface", "New interfaces introduced")):
        if row.get(column):
            parts.append(f"{title}:\n{str(row[column]).strip()}")
    return "\n\n".join(parts)


def _recipe(row: Mapping[str, object], where: str) -> dict[str, Any]:
    """`install_config` of SWE-rebench rows; V2 writes lists of commands where V1 writes one."""
    raw = row.get("install_config")
    recipe = _decoded(raw, f"{where}: install_config") if raw else {}
    if not isinstance(recipe, Mapping):
        raise UsageError(f"{where}: install_config is not an object")
    found = dict(recipe)
    for name in ("install", "test_cmd"):
        if isinstance(found.get(name), (list, tuple)):
            found[name] = " && ".join(str(part) for part in found[name])
    if found and row.get("requirements"):
        found["freeze"] = row["requirements"]
    return found


def _pictures(row: Mapping[str, object], where: str) -> tuple[str, ...]:
    assets = row.get("image_assets")
    assets = _decoded(assets, f"{where}: image_assets") if assets else {}
    shown = assets.get("problem_statement") if isinstance(assets, Mapping) else None
    return tuple(str(item.get("url") if isinstance(item, Mapping) else item) for item in shown or ())


def _repository(row: Mapping[str, object], name: str) -> tuple[str, bool]:
    repo = str(row.get("repo") or "")
    if not repo:
        repo = name.rsplit("-", 1)[0].replace("__", "/", 1)
    smith = repo.startswith("swesmith/") or bool(re.fullmatch(r".+__.+\.[0-9a-f]{8}\..+", name))
    return repo, smith


def _image(row: Mapping[str, object], name: str, benchmark: str, *, smith: bool) -> str | None:
    for column in ("image", "docker_image", "image_name"):
        if row.get(column):
            image = str(row[column])
            return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
    if smith:
        return None
    if row.get("dockerhub_tag"):
        return f"{_PRO_IMAGES}:{row['dockerhub_tag']}"
    if "gym" in benchmark.lower():
        return f"xingyaoww/sweb.eval.x86_64.{name.lower().replace('__', '_s_')}:latest"
    return official_image(name)


def official_image(instance_id: str) -> str:
    """Name of the SWE-bench evaluation image (x86-64)."""
    return f"swebench/sweb.eval.x86_64.{instance_id.lower().replace('__', '_1776_')}:latest"


def _tests(value: Any, where: str) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    decoded = _listed(value, where) if isinstance(value, str) else value
    if hasattr(decoded, "tolist"):  # parquet readers hand out arrays
        decoded = decoded.tolist()
    if not isinstance(decoded, (list, tuple)) or not all(isinstance(item, str) for item in decoded):
        raise UsageError(f"{where} is not a list of test ids")
    return tuple(decoded)


def _listed(value: str, where: str) -> Any:
    """A list as JSON, or as the text of a Python list (SWE-bench Pro)."""
    try:
        return json.loads(value)
    except ValueError as error:
        try:
            return ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise UsageError(f"{where} is neither a JSON list nor a Python list: {error}") from error


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
