"""Messages survive encoding and decoding, and bytes that cannot be preserved are rejected."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import Value
from services.contracts.case import Case
from services.contracts.codec import Malformed, UnknownVersion, decode, encode, loads
from services.contracts.question import Submission
from services.protogen.examples import examples
from tests import strategies

EXAMPLE: dict[str, Any] = json.loads(encode(examples()["case"]))
PLACES: dict[str, Callable[[Any], Any]] = {
    "case": lambda case: case,
    "question": lambda case: case["question"],
    "path": lambda case: case["paths"][1],
    "call": lambda case: case["paths"][1]["calls"][0],
    "usage": lambda case: case["paths"][1]["calls"][0]["usage"],
    "verdict": lambda case: case["paths"][1]["verdict"],
    "score": lambda case: case["paths"][1]["score"],
}
"""The objects of a case that may have fields of a later version."""


def fresh() -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(EXAMPLE))
    return copied


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def equal(one: Any, other: Any) -> bool:
    """Equal as JSON values: 1, 1.0 and true differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("place", PLACES)
@given(name=strategies.names, value=strategies.json_values)
def test_unknown_fields_survive_a_service_that_does_not_know_them(place: str, name: str, value: Any) -> None:
    raw = fresh()
    target = PLACES[place](raw)
    known = list(target)
    target.setdefault(name, value)
    case = decode(Case, dump(raw))
    passed_on = json.loads(encode(case.with_(rounds=2, paths=tuple(path.with_(round=1) for path in case.paths))))
    found = PLACES[place](passed_on)
    assert name in known or equal(found[name], value)
    assert list(found)[: len(known)] == known, "known fields first"


@given(question=strategies.questions(), extra=st.dictionaries(strategies.names, strategies.json_values, max_size=3))
def test_a_message_comes_back_with_the_same_bytes(question: Any, extra: dict[str, Any]) -> None:
    fields = {name: value for name, value in extra.items() if name not in Submission.model_fields}
    message = Submission(case_id="case-" + "0" * 32, question=question, **fields)
    data = encode(message)
    assert encode(decode(Submission, data)) == data


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30, -(10**30)])
@pytest.mark.parametrize("place", PLACES)
def test_integers_of_more_than_64_bits_are_malformed(place: str, number: int) -> None:
    raw = fresh()
    PLACES[place](raw)["x"] = [{"deep": number}]
    with pytest.raises(Malformed, match="64 bits"):
        decode(Case, dump(raw))


def test_integers_of_64_bits_are_not() -> None:
    assert loads(b"[18446744073709551615, -9223372036854775808]") == [2**64 - 1, -(2**63)]


def test_long_digits_in_text_and_fractions_are_not_integers() -> None:
    assert loads(b'["99999999999999999999999", 0.12345678901234567890, 1e25]')[0] == "9" * 23


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{",
        b"{}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_values_other_than_objects_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(Case, data)


BROKEN_TEXT = [b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\ud800": 1}', b'"\xed\xa0\x80"']


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999", *BROKEN_TEXT])
def test_numbers_that_are_not_finite_and_broken_unicode_are_malformed(value: bytes) -> None:
    data = encode(examples()["case"])[:-1] + b',"x":' + value + b"}"
    with pytest.raises(Malformed, match="not JSON"):
        decode(Case, data)


@pytest.mark.parametrize("digits", [b"0", b"1234567890123456789"])
@pytest.mark.parametrize("depth", [150, 199, 201, 252, 254, 256, 1_000, 100_000])
def test_accepted_values_can_be_encoded_again_at_any_depth(depth: int, digits: bytes) -> None:
    data = encode(examples()["submission"])[:-1] + b',"x":' + b"[" * depth + digits + b"]" * depth + b"}"
    try:
        message = decode(Submission, data)
    except Malformed:
        assert depth > 199
    else:
        assert encode(message) == data


@pytest.mark.parametrize("field", ["case_id", "question", "version"])
def test_a_missing_field_is_named(field: str) -> None:
    raw = fresh()
    del raw[field]
    with pytest.raises(Malformed, match=field):
        decode(Case, dump(raw))


@pytest.mark.parametrize(("field", "value"), [("life", "3"), ("life", True), ("life", 1.5), ("gold_disputed", 1)])
def test_a_value_of_another_type_is_never_converted(field: str, value: Any) -> None:
    with pytest.raises(Malformed, match=field):
        decode(Case, dump({**EXAMPLE, field: value}))


def test_an_error_never_shows_the_input() -> None:
    with pytest.raises(Malformed) as raised:
        decode(Case, dump({**EXAMPLE, "case_id": "secret"}))
    assert "secret" not in str(raised.value)


@given(minor=st.integers(0, 9_999))
def test_another_minor_version_passes_and_is_kept(minor: int) -> None:
    case = decode(Case, dump({**EXAMPLE, "version": f"1.{minor}"}))
    assert json.loads(encode(case))["version"] == f"1.{minor}"


@given(major=st.integers(0, 9_999).filter(lambda major: major != 1), minor=st.integers(0, 9_999))
def test_another_major_version_is_unknown_regardless_of_its_fields(major: int, minor: int) -> None:
    with pytest.raises(UnknownVersion, match=f"{major}.{minor}"):
        decode(Case, dump({"version": f"{major}.{minor}", "all": "else"}))


@pytest.mark.parametrize("version", [1, 1.0, None, "", "1", "1.", "1.0.0", "v1.0", "1.0\n", "１.0", "1.00000"])
def test_an_invalid_version_is_malformed(version: Any) -> None:
    with pytest.raises(Malformed, match="version"):
        decode(Case, dump({**EXAMPLE, "version": version}))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"A": "x"},
        {"A": "x", "C": "y"},
        {"AB": "x", "C": "y"},
        {"a": "x", "b": "y"},
        {"A": "x", "B": ""},
        dict.fromkeys("ABCDEFGHIJK", "x"),
    ],
)
def test_options_are_lettered_without_a_gap(options: dict[str, str]) -> None:
    raw = fresh()
    raw["question"].update(options=options, answer=next(iter(options), "A"))
    with pytest.raises(Malformed, match="question"):
        decode(Case, dump(raw))


def test_options_are_read_in_the_order_of_their_letters() -> None:
    raw = fresh()
    raw["question"]["options"] = dict(reversed(raw["question"]["options"].items()))
    assert decode(Case, dump(raw)) == decode(Case, dump(fresh()))
    assert list(decode(Case, dump(raw)).question.options) == ["A", "B", "C", "D"]


def test_gold_is_one_of_the_options() -> None:
    raw = fresh()
    raw["question"]["answer"] = "E"
    with pytest.raises(Malformed, match="answer must be one of A, B, C, D"):
        decode(Case, dump(raw))


def test_messages_are_frozen() -> None:
    value: Value = examples()["case"]
    with pytest.raises(ValueError, match="frozen"):
        value.rounds = 3  # type: ignore[attr-defined]
