"""A message becomes a row, and nothing of it is lost."""

from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Score
from services.contracts.codec import encode
from services.core.errors import Dead
from services.core.messages import ConsumedRecord
from services.exporter.rows import export, split
from services.exporter.schema import SCHEMA
from tests.strategies import json_values, names
from tests.unit.datasets.world import of_steps
from tests.unit.exporter.world import edited, message, record


def test_a_row_has_a_value_for_each_column() -> None:
    row = export(message(7, record(1), partition=3)).rows[0]
    assert set(row) == set(SCHEMA.names)
    table = pa.Table.from_pylist([row], schema=SCHEMA)
    assert table.to_pylist() == [row]
    assert (row["kafka_partition"], row["kafka_offset"]) == (3, 7)


def test_the_columns_of_a_row() -> None:
    row = export(message(0, record(1))).rows[0]
    assert row["answer_text"] == "that"
    assert row["options"] == [{"letter": "A", "text": "this"}, {"letter": "B", "text": "that"}]
    assert (row["case_prompt_tokens"], row["case_completion_tokens"], row["case_cached_tokens"]) == (12, 7, 1)
    assert row["cost_usd"] == 0.75
    assert row["usage"]["generate"] == {"prompt": 9, "completion": 5, "cached": 0}
    assert row["usage"]["refine"] is None
    assert row["cost"]["summarize"] == 0.5
    assert row["calls"][0]["prompt"] == 9
    assert (row["stated"], row["verdict_judged"], row["score"], row["extra"]) == ("B", "correct", 4, None)


def test_steps_have_columns_and_change_nothing_where_there_are_none() -> None:
    plain, of_its_steps = export(message(0, record(1))), export(message(0, of_steps(record(1))))
    assert (plain.rows[0]["step_ends"], plain.rows[0]["in_error"]) == (None, None)
    assert b"steps" not in encode(record(1))
    assert plain.digest == 3381969360046701307, "as written by 1.1"
    assert of_its_steps.rows[0]["step_ends"] == [9, 24]
    (faulty,) = of_its_steps.rows[0]["in_error"]
    assert (faulty["model"], faulty["step_ends"], faulty["errors"][0]["step"]) == ("other@2", [11, 26], 2)
    table = pa.Table.from_pylist([of_its_steps.rows[0]], schema=SCHEMA)
    assert table.to_pylist() == [of_its_steps.rows[0]]


def test_each_column_says_what_it_is() -> None:
    assert all(field.metadata[b"description"] for field in SCHEMA)


def test_a_record_without_a_score() -> None:
    assert export(message(0, record(1, score=Score(value=None)))).rows[0]["score"] is None


def merged(known: Any, extra: Any) -> Any:
    """The JSON that `split` took apart."""
    if isinstance(known, dict) and isinstance(extra, dict):
        both = {name: merged(value, extra.get(name, {})) for name, value in known.items()}
        return both | {name: value for name, value in extra.items() if name not in known}
    if isinstance(known, list) and isinstance(extra, dict):
        return [merged(value, extra.get(str(index), {})) for index, value in enumerate(known)]
    return known


@given(
    top=st.dictionaries(names, json_values, max_size=2),
    question=st.dictionaries(names, json_values, max_size=2),
    call=st.dictionaries(names, json_values, max_size=2),
    usage=st.dictionaries(names, json_values, max_size=2),
)
def test_fields_of_later_versions_are_kept_at_their_places(
    top: dict[str, Any], question: dict[str, Any], call: dict[str, Any], usage: dict[str, Any]
) -> None:
    raw = orjson.loads(encode(record(1)))
    raw["question"] = question | raw["question"]
    raw["calls"][0] = call | raw["calls"][0]
    raw["usage"]["generate"] = usage | raw["usage"]["generate"]
    raw = top | raw
    sent = ConsumedRecord("record-completed", 0, 0, raw["case_id"].encode(), orjson.dumps(raw), {})

    exported = export(sent)

    extra = orjson.loads(exported.rows[0]["extra"]) if exported.rows[0]["extra"] else {}
    assert merged(split(record(1))[0], extra) == raw
    assert exported.digest == export(message(0, record(1))).digest  # repeats of two minor versions are equal


def test_a_change_of_a_known_field_is_a_difference() -> None:
    same, other = export(message(0, record(1))), export(message(1, record(1, summary="another")))
    assert same.key == other.key
    assert same.digest != other.digest


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", "poison"),
        (b"{", "poison"),
        (b"[]", "poison"),
        (b"\xff", "poison"),
        (edited(record(1), chain=None), "poison"),
        (edited(record(1), record_id="record-1"), "poison"),
        (edited(record(1), life=2**63), "poison"),
        (edited(record(1), usage={"generate": {"prompt": 2**62}, "score": {"prompt": 2**62}}), "poison"),
        (edited(record(1), version="2.0"), "not_yet"),
    ],
)
def test_malformed_records_are_dead_lettered(value: bytes, kind: str) -> None:
    sent = ConsumedRecord("record-completed", 0, 0, record(1).case_id.encode(), value, {})
    with pytest.raises(Dead) as dead:
        export(sent)
    assert dead.value.kind == kind


def test_a_record_under_another_key_is_dead() -> None:
    with pytest.raises(Dead, match="key"):
        export(ConsumedRecord("record-completed", 0, 0, b"another", encode(record(1)), {}))
    with pytest.raises(Dead):
        export(ConsumedRecord("record-completed", 0, 0, None, None, {}))


def test_too_deeply_nested_records_are_dead_lettered() -> None:
    deep = b'{"deep":' + b"[" * 400 + b"]" * 400 + b"," + encode(record(1))[1:]
    with pytest.raises(Dead):
        export(ConsumedRecord("record-completed", 0, 0, record(1).case_id.encode(), deep, {}))
