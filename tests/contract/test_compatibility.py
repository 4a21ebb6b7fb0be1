"""Within a major version optional fields may be added, and nothing else may change."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.contracts.schemas import MESSAGES, json_schema
from services.protogen.compatibility import breaking

SCHEMAS = Path(__file__).parents[2] / "proto" / "schemas"
VERSIONS = sorted((path.name for path in SCHEMAS.iterdir()), key=lambda name: [int(part) for part in name.split(".")])

Schema = dict[str, Any]

OLD: Schema = {
    "$defs": {
        "Part": {
            "type": "object",
            "additionalProperties": True,
            "properties": {"size": {"type": "integer", "minimum": 0, "maximum": 5}},
            "required": ["size"],
        }
    },
    "type": "object",
    "description": "A thing.",
    "additionalProperties": True,
    "properties": {
        "id": {"type": "string", "pattern": "^id-[0-9]$"},
        "by": {"enum": ["judge", "check"], "type": "string"},
        "note": {"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}], "default": None},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "maxItems": 3},
        "named": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Part"}},
        "keyed": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "number", "exclusiveMinimum": 0}}},
        "title": {"type": "string", "default": ""},
    },
    "required": ["id", "by"],
}


def properties(schema: Schema) -> Schema:
    found: Schema = schema["properties"]
    return found


def changed(change: Callable[[Schema], object]) -> list[str]:
    new = copy.deepcopy(OLD)
    change(new)
    assert new != OLD
    return breaking(OLD, new)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: properties(s).pop("title"), "message.title: removed"),
        (lambda s: properties(s).pop("id"), "message.id: removed"),
        (lambda s: (properties(s).update(new={"type": "string"}), s["required"].append("new")), "message.new: now req"),
        (lambda s: s["required"].append("title"), "message.title: now required"),
        (lambda s: s["required"].remove("by"), "message.by: no longer required"),
        (lambda s: properties(s)["title"].update(type="integer"), "message.title: type 'string' became type 'integer'"),
        (lambda s: properties(s)["title"].update(default="x"), "message.title: default '' became default 'x'"),
        (lambda s: properties(s)["id"].update(pattern="^id-[0-9]{2}$"), "message.id: pattern"),
        (lambda s: properties(s)["id"].pop("pattern"), "message.id: pattern '^id-[0-9]$' became no pattern"),
        (lambda s: properties(s)["by"]["enum"].remove("check"), "message.by: 'check' is no longer allowed"),
        (lambda s: properties(s)["by"]["enum"].append("vote"), "message.by: 'vote' is new, and old readers"),
        (lambda s: properties(s)["by"].pop("enum"), "message.by: enum ['judge', 'check'] became no enum"),
        (lambda s: properties(s)["note"]["anyOf"].pop(), "message.note: anyOf"),
        (lambda s: properties(s)["note"]["anyOf"][0].update(maxLength=9), "maxLength 9, but messages beyond it exist"),
        (lambda s: properties(s)["note"]["anyOf"][0].update(maxLength=11), "maxLength 11, but old readers refuse"),
        (lambda s: properties(s)["parts"].update(minItems=1), "no minItems became minItems 1, but messages beyond it"),
        (lambda s: properties(s)["parts"].pop("maxItems"), "maxItems 3 became no maxItems, but old readers"),
        (lambda s: s["$defs"]["Part"]["properties"]["size"].update(maximum=4), "message.parts[].size: maximum 5"),
        (lambda s: s["$defs"]["Part"]["properties"]["size"].update(minimum=-1), "message.named[].size: minimum 0"),
        (lambda s: s["$defs"]["Part"]["required"].clear(), "message.parts[].size: no longer required"),
        (lambda s: properties(s)["keyed"].update(patternProperties={}), "message.keyed: patternProperties"),
        (
            lambda s: properties(s)["keyed"]["patternProperties"]["^[a-z]+$"].update(exclusiveMinimum=1),
            "message.keyed[]: exclusiveMinimum 0 became exclusiveMinimum 1, but messages beyond it exist",
        ),
        (lambda s: s.update(additionalProperties=False), "message: additionalProperties True became"),
    ],
)  # fmt: skip
def test_refused(change: Callable[[Schema], object], expected: str) -> None:
    assert [line for line in changed(change) if expected in line] != []


@pytest.mark.parametrize(
    "change",
    [
        lambda s: properties(s).update(new={"type": "string", "default": ""}),
        lambda s: (
            s["$defs"]["Part"]["properties"].update(new={"$ref": "#/$defs/Part2"})
            or s["$defs"].update(Part2={"type": "object"})
        ),
        lambda s: properties(s)["title"].update(description="What it is called."),
        lambda s: s.update({"description": "Another.", "title": "Thing", "$comment": "2", "x-version": "1.7"}),
        lambda s: (
            s["$defs"].update(Piece=s["$defs"].pop("Part"))
            or properties(s)["parts"].update(items={"$ref": "#/$defs/Piece"})
            or properties(s)["named"].update(additionalProperties={"$ref": "#/$defs/Piece"})
        ),
        lambda s: s["required"].reverse(),
    ],
    ids=["optional field", "optional field of a part", "description", "comments", "renamed definition", "order"],
)
def test_allowed(change: Callable[[Schema], object]) -> None:
    assert changed(change) == []


@pytest.mark.parametrize("name", MESSAGES)
def test_a_field_can_neither_be_removed_nor_become_required(name: str) -> None:
    schema = json_schema(name)
    for field in schema["properties"]:
        without, needed = copy.deepcopy(schema), copy.deepcopy(schema)
        del without["properties"][field]
        needed["required"] = sorted({*schema["required"], field})
        assert f"message.{field}: removed" in breaking(schema, without)
        assert (breaking(schema, needed) == []) == (field in schema["required"])


@pytest.mark.parametrize("name", MESSAGES)
def test_current_types_break_no_earlier_version(name: str) -> None:
    today = json_schema(name)
    for version in VERSIONS:
        path = SCHEMAS / version / f"{name}.json"
        if path.exists():  # the message may not exist in that version
            assert breaking(json.loads(path.read_text()), today) == [], version


def test_no_message_was_ever_dropped() -> None:
    assert {path.stem for path in SCHEMAS.glob("*/*.json")} == set(MESSAGES)
