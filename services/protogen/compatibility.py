"""Compatibility within a major version: optional fields may be added, nothing else may change.

During a deploy, old readers read new messages and new readers read old ones. A wider type breaks old readers, a
narrower type breaks new readers. Descriptions and titles may change at any time.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_PROSE = {"$schema", "$comment", "$defs", "$ref", "x-version", "title", "description", "examples"}
_BY_NAME = {"properties", "patternProperties"}
_UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}


def breaking(old: Schema, new: Schema) -> list[str]:
    """The changes from an old to a new JSON Schema of a message that break a reader; empty if there are none."""
    return list(_differences(shape(old), shape(new), "message"))


def shape(schema: Schema, root: Schema | None = None) -> Schema:
    """The constraints of a schema: references resolved, prose left out. Recursive types are not supported."""
    root = schema if root is None else root
    named = root["$defs"][schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else {}
    whole = {**named, **schema}
    return {key: _part(key, value, root) for key, value in whole.items() if key not in _PROSE}


def _part(key: str, value: Any, root: Schema) -> Any:
    if key in _BY_NAME:  # keys are field names here, and a field may be called `title`
        return {name: shape(part, root) for name, part in value.items()}
    if key in ("default", "enum", "const"):
        return value
    if isinstance(value, list):
        return [shape(part, root) if isinstance(part, dict) else part for part in value]
    return shape(value, root) if isinstance(value, dict) else value


def _differences(old: Schema, new: Schema, where: str) -> Iterator[str]:
    yield from _fields(old, new, where)
    for key in sorted((old.keys() | new.keys()) - {"properties", "required"}):
        if old.get(key) != new.get(key):
            yield from _keyword(key, old.get(key), new.get(key), where)


def _fields(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    wanted, wants = set(old.get("required", ())), set(new.get("required", ()))
    for name in (name for name in before if name in after):
        yield from _differences(before[name], after[name], f"{where}.{name}")
    yield from (f"{where}.{name}: removed" for name in before if name not in after)
    yield from (f"{where}.{name}: now required, but messages without it exist" for name in sorted(wants - wanted))
    yield from (f"{where}.{name}: no longer required, but old readers require it" for name in sorted(wanted - wants))


def _keyword(key: str, was: Any, now: Any, where: str) -> Iterator[str]:
    """The differences between two values of a keyword; None: absent."""
    match was, now:
        case list(), list() if key == "enum":
            yield from (f"{where}: {value!r} is no longer allowed" for value in was if value not in now)
            yield from (f"{where}: {value!r} is new, and old readers refuse it" for value in now if value not in was)
        case list(), list() if key in ("anyOf", "prefixItems") and len(was) == len(now):
            for one, other in zip(was, now, strict=True):
                yield from _differences(one, other, where)
        case dict(), dict() if key in ("items", "additionalProperties", "propertyNames"):
            yield from _differences(was, now, f"{where}[]")
        case dict(), dict() if key == "patternProperties" and was.keys() == now.keys():
            for name in was:
                yield from _differences(was[name], now[name], f"{where}[]")
        case _:
            yield f"{where}: {_text(key, was)} became {_text(key, now)}{_affected(key, was, now)}"


def _affected(key: str, was: Any, now: Any) -> str:
    if key not in _UPPER | _LOWER:
        return ""
    tighter = was is None or (now is not None and (now < was if key in _UPPER else now > was))
    return ", but messages beyond it exist" if tighter else ", but old readers refuse values beyond it"


def _text(key: str, value: Any) -> str:
    return f"no {key}" if value is None else f"{key} {value!r}"
