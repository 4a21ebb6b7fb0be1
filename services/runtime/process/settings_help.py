"""A process's settings as text, from the types that read them: for `--help`, and for the docs."""

import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services.contracts.topics import topics
from services.runtime.process.settings import Settings

WIDTH = 100


@dataclass(frozen=True)
class Setting:
    """One variable of the environment."""

    name: str
    default: str
    """As text; empty where there is none."""
    meaning: str


def settings_of(cls: type[Settings]) -> list[Setting]:
    """Every setting of a process, nested ones with `__`, in the order in which they are declared."""
    return [setting for name, field in cls.model_fields.items() for setting in _settings(f"REASONMED_{name}", field)]


def exit_on_arguments(service: str, cls: type[Settings], arguments: Sequence[str] | None = None) -> None:
    """With --help, print what the service does and each of its settings, and exit 0. Any other argument is a mistake,
    since settings come from the environment: exit 2."""
    given = sys.argv[1:] if arguments is None else arguments
    if {"--help", "-h"} & set(given):
        sys.stdout.write(f"Usage: reasonmed-{service}, or python -m services.{service}\n\n{usage(service, cls)}")
        raise SystemExit(0)
    if given:
        sys.stderr.write(f"error: unknown argument {given[0]}: settings come from the environment; see --help\n")
        raise SystemExit(2)


def usage(service: str, cls: type[Settings]) -> str:
    """What a process of this service reads and writes, and its settings."""
    lines = [f"One process of the {service}; run as many as needed. SIGTERM drains and ends it: exit 0.", ""]
    for topic in topics().values():
        lines += [f"  reads {topic.name}: {topic.description}"] if service in topic.read_by else []
        lines += [f"  writes {topic.name}: {topic.description}"] if service in topic.written_by else []
    return "\n".join([*lines, "", listed(cls)])


def listed(cls: type[Settings]) -> str:
    """The settings as text, for a terminal."""
    lines = ["Settings, from the environment:", ""]
    for setting in settings_of(cls):
        lines.append(f"  {setting.name}{f'  (default: {setting.default})' if setting.default else ''}")
        lines += textwrap.wrap(setting.meaning, WIDTH, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines) + "\n"


def _settings(name: str, field: FieldInfo) -> Iterator[Setting]:
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for inner, nested in kind.model_fields.items():
            yield from _settings(f"{name}__{inner}", nested)
    elif isinstance(kind, type) and is_dataclass(kind):
        # Of a whole value, as Kafka's client, a field's default may differ from its type's own.
        for inner, default, meaning in _fields(kind):
            yield Setting(f"{name}__{inner}".upper(), _written(getattr(field.default, inner, default)), meaning)
    else:
        default = field.get_default(call_default_factory=True) if not field.default_factory else None
        yield Setting(
            name.upper(), _written(default), " ".join(" ".join([field.description or "", *_values(kind)]).split())
        )


def _values(kind: Any) -> Iterator[str]:
    """Of a mapping to values with fields: what the fields are."""
    for value in get_args(kind):
        if isinstance(value, type) and is_dataclass(value):
            yield "Of each:"
            yield (
                "; ".join(
                    f"{name} ({meaning.rstrip('.')}{f'; default: {_written(default)}' if _written(default) else ''})"
                    if meaning
                    else name
                    for name, default, meaning in _fields(value)
                )
                + "."
            )


def _fields(kind: type[Any]) -> Iterator[tuple[str, Any, str]]:
    described = TypeAdapter(kind).json_schema()["properties"]
    for field in fields(kind):
        meaning = " ".join(described[field.name].get("description", "").split())
        yield field.name, None if field.default is MISSING else field.default, meaning


def _written(default: object) -> str:
    if default in (None, (), {}) or default is PydanticUndefined or isinstance(default, SecretStr):
        return ""
    return str(default)
