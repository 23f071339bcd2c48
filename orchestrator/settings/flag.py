"""Flag: how a field of settings is asked for; the kinds of values that fields have."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROLES = ("coder", "tester", "debugger", "critic", "single")


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is asked for on the command line."""

    help: str
    short: str = ""
    name: str = ""
    """Without dashes in front; "" is the field's name with dashes."""
    metavar: str = ""
    """What stands for the value in `--help`; "" follows from the type."""
    choices: tuple[str, ...] = ()
    """Shown and completed; a Literal's values are found without."""
    shown: str = ""
    """The default as `--help` shows it, where the value does not say it."""
    advanced: bool = False
    """Listed apart in `--help`."""
    group: str = ""
    """Heading in `--help`; "" is that of the class."""
    argument: bool = False
    """A word of the command line without a flag before it; repeatable."""
    once: bool = False
    """Of one call alone: no key in config.toml, no variable."""


def duration(value: object) -> float:
    """`90`, `90s`, `30m`, `2h` in seconds. Raises: ValueError."""
    text = str(value)
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        seconds = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        raise ValueError("not a duration; write 90s, 30m or 2h") from None
    if not (seconds > 0 and isfinite(seconds)):
        raise ValueError("a duration must be positive")
    return seconds


def verification(value: object) -> str:
    """`auto`, `full`, or a duration of at most a day. Raises: ValueError."""
    text = str(value)
    if text not in ("auto", "full"):
        try:
            fits = 1.0 <= duration(text) <= 24 * 3600.0
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("say auto, full, or a time from 1s to 24h, such as 90s or 5m")
    return text


def verifier_of(value: str | None) -> str | None:
    """An http(s) URL, or a path, made absolute; what is there is looked at when a run begins. Raises: ValueError."""
    if value is None or value.startswith(("http://", "https://")):
        return value
    if not value or "://" in value:
        raise ValueError("write a file or an http(s) URL")
    return str(Path(value).expanduser().absolute())


def words(value: object) -> object:
    """Comma-separated text as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def models_by_role(value: object) -> object:
    """`coder=M,critic=M` as a mapping. Raises: ValueError."""
    if not isinstance(value, str):
        return value
    models: dict[str, str] = {}
    for part in (part.strip() for part in value.split(",") if part.strip()):
        role, separator, model = part.partition("=")
        if not separator or role not in ROLES or not model:
            raise ValueError("write " + ", ".join(f"{role}=M" for role in ROLES[:-1]) + " or single=M")
        models[role] = model
    return models


BENCHMARK_NAMES = (
    "humaneval",
    "mbpp",
    "humanevalfix",
    "bigcodebench",
    "naturalcodebench",
    "livecodebench",
    "mle-bench",
    "mlagentbench",
    "harbor",
)
"""Those that come along."""


def benchmark_name(value: str | None) -> str | None:
    """One of ours or of an installed package. Raises: ValueError."""
    from ...tools.plugins import installed

    if value is not None and value not in (known := (*BENCHMARK_NAMES, *installed("benchmarks"))):
        close = get_close_matches(value, known, n=1)
        raise ValueError(f"choose from {', '.join(known)}{f'; did you mean {close[0]}?' if close else ''}")
    return value


def switched(value: object) -> object:
    return {"on": True, "none": False}.get(value, value) if isinstance(value, str) else value


Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Duration = Annotated[float, BeforeValidator(duration, json_schema_input_type=float | str)]
Words = Annotated[tuple[str, ...], BeforeValidator(words, json_schema_input_type=tuple[str, ...] | str)]
Switch = Annotated[bool, BeforeValidator(switched, json_schema_input_type=Literal["none", "on"])]


class Group(BaseModel):
    """Fields that belong together; `title` heads them in `--help`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    title: ClassVar[str] = ""


def flag_of(field: FieldInfo) -> Flag:
    """The flag of a field. Raises: StopIteration when it has none."""
    return next(item for item in field.metadata if isinstance(item, Flag))


def has_flag(field: FieldInfo) -> bool:
    return any(isinstance(item, Flag) for item in field.metadata)


def fields_of(kind: type[Group]) -> dict[str, FieldInfo]:
    """Fields with a flag, groups in the order in which the command names them."""
    return {name: field for name, field in kind.model_fields.items() if has_flag(field)}


def key_of(name: str, field: FieldInfo) -> str:
    """The flag without dashes in front."""
    return flag_of(field).name or name.replace("_", "-")


def group_of(kind: type[Group], name: str) -> type[Group]:
    """The class that declares a field."""
    return next(base for base in kind.__mro__ if name in vars(base).get("__annotations__", {}))


def bare(annotation: Any) -> Any:
    """An annotation without Annotated and None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    inner = [item for item in get_args(annotation) if item is not type(None)]
    if get_origin(annotation) not in (tuple, list, dict, Literal) and len(inner) == 1:
        return bare(inner[0])
    return annotation


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    kind = bare(field.annotation)
    return flag_of(field).choices or (get_args(kind) if get_origin(kind) is Literal else ())
