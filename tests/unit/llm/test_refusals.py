"""Statuses by kind, and Retry-After."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import ModelAway, Reject, Retry
from services.llm import refusals
from services.llm.troubles import Busy, TimedOut

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Busy),
        (503, ModelAway),
        (529, ModelAway),
        (401, ModelAway),
        (402, ModelAway),
        (403, ModelAway),
        (404, ModelAway),
        (301, ModelAway),
        (500, Retry),
        (502, Retry),
        (504, Retry),
        (204, Retry),
        (408, TimedOut),
        (400, Reject),
        (405, Reject),
        (413, Reject),
        (422, Reject),
    ],
)
def test_kinds(status, kind):
    assert type(refusals.trouble(status, b"", retry_after=None, now=NOW)) is kind


def test_an_unknown_model_is_the_operators_whatever_the_status():
    data = orjson.dumps({"error": {"code": "model_not_found"}})
    assert isinstance(refusals.trouble(400, data, retry_after=None, now=NOW), ModelAway)


def test_the_servers_code_is_repeated_and_its_words_are_not():
    error = {"message": "your prompt: A 34-year-old woman", "type": "BadRequestError", "code": 400}
    assert str(refusals.trouble(400, orjson.dumps({"error": error}), retry_after=None, now=NOW)) == (
        "HTTP 400 (BadRequestError): the server refuses this request"
    )
    for code in ("A 34-year-old woman", "sk-0123456789", ["x"], {"x": 1}, "x" * 50):
        said = str(refusals.trouble(400, orjson.dumps({"error": {"code": code}}), retry_after=None, now=NOW))
        assert said == "HTTP 400: the server refuses this request"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0),
        ("7", 7),
        (" 1.5 ", 1.5),
        ("-3", 0),
        ("86400", 60),
        ("inf", 60),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("Tue, 14 Nov 2073 22:13:10 GMT", 60),
        ("Tue, 99 Nov 2023 22:13:10 GMT", None),
    ],
)
def test_retry_after(header, seconds):
    assert refusals.seconds(header, now=NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_is_never_a_surprise(header):
    wait = refusals.seconds(header, now=NOW)
    assert wait is None or 0 <= wait <= 60


@given(st.integers(100, 599).filter(lambda status: status != 200), st.binary(max_size=100))
def test_every_status_has_a_kind(status, data):
    assert isinstance(refusals.trouble(status, data, retry_after=None, now=NOW), ModelAway | Retry | Reject)
