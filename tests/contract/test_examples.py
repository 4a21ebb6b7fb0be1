"""Every published example can still be decoded, and is encoded without loss."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.contracts.base import VERSION, Message, Value
from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.record import Record
from services.contracts.schemas import MESSAGES
from services.core import ids
from services.core.ledger.calls import Reply
from services.llm.fake import ScriptedModels
from services.protogen.examples import RECIPE, examples
from services.summarizer.handler import summarize

PROTO = Path(__file__).parents[2] / "proto"
EVERY = sorted(PROTO.glob("examples/*/*.json"))
TODAYS = [path for path in EVERY if path.parent.name == VERSION]

each_example = pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}-{path.stem}")
each_current = pytest.mark.parametrize("path", TODAYS, ids=lambda path: path.stem)


def read(path: Path, data: bytes) -> Value:
    kind = MESSAGES[path.stem]
    return decode(kind, data) if issubclass(kind, Message) else kind.model_validate_json(data, strict=True)


def schema_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROTO / "schemas" / path.parent.name / path.name).read_text())
    return found


def marked(value: Any) -> Any:
    """The value with an unknown field first in every object (except dicts with free keys)."""
    if isinstance(value, list):
        return [marked(item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {key: marked(item) for key, item in value.items()}
    return inner if set(value) <= FREE_KEYS else {"x_later": {"n": [2**63, -0.5, "ü"]}, **inner}


FREE_KEYS = {*"ABCDEFGHIJ", "generate", "verify", "score", "refine", "reason", "summarize", "qwen", "deepseek"}
"""Keys that are data: of options, of usage and cost by stage, and of models."""


def unknown_last(value: Any) -> bool:
    """Whether the unknown field is last in every object."""
    if isinstance(value, list):
        return all(unknown_last(item) for item in value)
    if not isinstance(value, dict):
        return True
    return ("x_later" not in value or list(value)[-1] == "x_later") and all(
        unknown_last(item) for key, item in value.items() if key != "x_later"
    )


def holds(whole: Any, part: Any) -> bool:
    """Whether `whole` contains `part`; objects may have more fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def test_there_are_examples() -> None:
    assert {path.stem for path in TODAYS} == set(MESSAGES)


@each_example
def test_an_example_of_any_version_is_decoded_and_encoded_without_loss(path: Path) -> None:
    example = path.read_bytes()
    again = encode(read(path, example))
    assert holds(json.loads(again), json.loads(example))
    assert encode(read(path, again)) == again


@each_current
def test_an_example_of_this_version_round_trips(path: Path) -> None:
    assert json.loads(encode(read(path, path.read_bytes()))) == json.loads(path.read_text())


@each_example
def test_unknown_fields_are_kept_everywhere_and_known_ones_come_first(path: Path) -> None:
    later = marked(json.loads(path.read_text()))
    again = json.loads(encode(read(path, json.dumps(later).encode())))
    assert holds(again, later)
    assert unknown_last(again)


@each_example
def test_an_example_fits_its_schema_with_and_without_unknown_fields(path: Path) -> None:
    schema = schema_of(path)
    jsonschema.Draft202012Validator.check_schema(schema)
    example = json.loads(path.read_text())
    jsonschema.validate(example, schema, cls=jsonschema.Draft202012Validator)
    jsonschema.validate(marked(example), schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("case", "case_id"),
        ("case", "work_id"),
        ("case", "recipe_id"),
        ("path", "path_id"),
        ("record", "record_id"),
        ("submission", "case_id"),
    ],
)
def test_a_schema_states_the_form_of_its_ids(name: str, field: str) -> None:
    path = PROTO / "examples" / VERSION / f"{name}.json"
    example = json.loads(path.read_text())
    validator = jsonschema.Draft202012Validator(schema_of(path))
    kind, digits = example[field].split("-")
    for wrong in (digits, f"{kind}-{digits[:-1]}", f"{kind}-{digits}0", f"{kind}-{digits.upper()}x", f"other-{digits}"):
        errors = list(validator.iter_errors({**example, field: wrong}))
        assert [list(error.absolute_path) for error in errors] == [[field]]


def test_the_ids_of_the_examples_are_those_of_production() -> None:
    made = examples()
    case, record = made["case"], made["record"]
    assert isinstance(case, Case)
    assert isinstance(record, Record)
    assert case.case_id == ids.case_id(case.question)
    assert case.recipe_id == ids.recipe_id(RECIPE)
    assert case.work_id == ids.work_id(case.case_id, case.recipe_id)
    assert [path.path_id for path in case.paths] == [
        ids.path_id(case.work_id, path.origin, path.round, path.slot) for path in case.paths
    ]


async def test_the_summarizer_makes_the_example_record_from_the_example_case() -> None:
    case, record = examples()["case"], examples()["record"]
    assert isinstance(case, Case)
    assert isinstance(record, Record)
    models = ScriptedModels(lambda request: Reply(record.summary, "stop", record.calls[-1].usage))
    made = (await summarize(case, RECIPE, models))[0].message
    assert isinstance(made, Record)
    assert made.with_(cost={}) == record.with_(cost={})
    assert made.cost == pytest.approx(record.cost)
