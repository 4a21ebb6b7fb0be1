"""The stored form of an outcome."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Usage
from services.core.ledger.calls import Failure, Reply
from services.ledger.encoding.outcomes import decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(0, 2**53)
usages = st.builds(Usage, prompt=counts, completion=counts, cached=counts)
replies = st.builds(Reply, texts, st.sampled_from(["stop", "length", "other"]), usages, texts)


@given(replies | st.builds(Failure, texts, usages))
def test_outcomes_survive_encoding(outcome: Reply | Failure) -> None:
    assert decode(encode(outcome)) == outcome
    assert encode(decode(encode(outcome))) == encode(outcome)


def test_the_stored_form_is_stable() -> None:
    """Ledgers outlive the code that wrote them."""
    usage = b'{"cached":0,"completion":2,"prompt":1}'
    reply = b'{"reply":{"finish_reason":"stop","text":"t","thinking":"","usage":' + usage + b"}}"
    assert encode(Reply("t", "stop", Usage(prompt=1, completion=2))) == reply
    failure = b'{"failure":{"reason":"400","usage":' + usage + b"}}"
    assert encode(Failure("400", Usage(prompt=1, completion=2))) == failure


def test_fields_that_a_newer_version_added_are_passed_over() -> None:
    data = b'{"reply":{"finish_reason":"stop","text":"t","usage":{"prompt":1},"new":1},"newer":2}'
    assert decode(data) == Reply("t", "stop", Usage(prompt=1))
