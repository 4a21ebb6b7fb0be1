"""Statuses by kind, and Retry-After."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import ModelAway, Reject, Retry, Trouble
from services.llm import error_responses
from services.llm.trouble_table import TABLE, row_of
from services.llm.troubles import Busy, Refuses, TimedOut

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def of(status: int, error: object = None, **headers: str) -> Trouble:
    body = b"" if error is None else orjson.dumps({"error": error})
    return error_responses.trouble(status, body, headers=headers, now=NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Busy),
        (498, Busy),
        (503, Busy),
        (529, Busy),
        (401, Refuses),
        (402, Refuses),
        (404, Refuses),
        (405, Refuses),
        (301, Refuses),
        (500, Retry),
        (502, Retry),
        (520, Retry),
        (521, Retry),
        (409, Retry),
        (424, Retry),
        (425, Retry),
        (499, Retry),
        (204, Retry),
        (408, TimedOut),
        (504, TimedOut),
        (524, TimedOut),
        (400, Reject),
        (403, Reject),
        (413, Reject),
        (422, Reject),
    ],
)
def test_kinds_by_status(status, kind):
    assert type(of(status)) is kind


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (429, {"code": "insufficient_quota"}, Refuses, "quota"),
        (400, {"code": "model_not_found"}, Refuses, "unknown model"),
        (400, {"code": "unsupported_parameter", "param": "max_tokens"}, Refuses, "max_tokens"),
        (400, {"code": "context_length_exceeded"}, Reject, "context"),
        (400, {"type": "exceed_context_size_error", "code": 400}, Reject, "context"),
        (400, {"message": "This model's maximum context length is 4096", "code": 400}, Reject, "context"),
        (400, {"code": "content_filter"}, Reject, "filtered"),
        (400, {"message": "Request id chatcmpl-1 already running"}, Retry, "still running"),
        (500, {"type": "throttling_error", "code": "429"}, Busy, "429"),
        (200, {"code": 429}, Busy, "429"),
        (200, {"code": 503}, Busy, "503"),
        (200, {"code": 502}, Retry, "502"),
        (200, {"code": 400}, Reject, "400"),
        (200, {"code": 404}, Refuses, "404"),
        (200, "overloaded", Retry, "HTTP 200"),
    ],
)
def test_kinds_by_code(status, error, kind, said):
    trouble = of(status, error)
    assert type(trouble) is kind
    assert said in str(trouble)


def test_a_reply_that_holds_an_error():
    def inside(chat):
        return error_responses.error_in_reply(orjson.dumps(chat), headers={}, now=NOW)

    assert isinstance(inside({"error": {"code": 503}}), Busy)
    assert isinstance(inside({"choices": [{"error": {"code": 502}, "message": {"content": "half"}}]}), Retry)
    assert inside({"error": None, "choices": [{"message": {"content": "error"}}]}) is None
    assert inside({"choices": []}) is None


def test_an_unknown_model_is_the_operators_whatever_the_status():
    assert isinstance(of(400, {"code": "model_not_found"}), Refuses)


def test_the_servers_code_is_repeated_and_its_words_are_not():
    error = {"message": "your prompt: A 34-year-old woman", "type": "BadRequestError", "code": 400}
    assert str(of(400, error)) == ("HTTP 400 (BadRequestError): the server refuses this request")
    for code in ("A 34-year-old woman", "sk-0123456789", ["x"], {"x": 1}, "x" * 50):
        said = str(of(400, {"code": code}))
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
        ("inf", None),
        ("30s", 30),
        ("250ms", 0.25),
        ("1m", 60),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("Tue, 14 Nov 2073 22:13:10 GMT", 60),
        ("Tue, 99 Nov 2023 22:13:10 GMT", None),
    ],
)
def test_retry_after(header, seconds):
    assert error_responses.seconds(header, now=NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_is_never_a_surprise(header):
    wait = error_responses.seconds(header, now=NOW)
    assert wait is None or 0 <= wait <= 60


@given(st.integers(100, 599).filter(lambda status: status != 200), st.binary(max_size=100))
def test_every_status_has_a_kind(status, data):
    assert isinstance(error_responses.trouble(status, data, headers={}, now=NOW), ModelAway | Retry | Reject)


def test_a_wait_in_milliseconds_counts_first():
    trouble = of(429, **{"retry-after-ms": "1500", "retry-after": "2"})
    assert isinstance(trouble, Busy)
    assert trouble.retry_after == 1.5


def test_every_row_of_the_table_can_be_reached():
    """No row is hidden behind an earlier one."""
    for row in TABLE:
        codes = (min(row.codes),) if row.codes else ()
        message = row.words[0] if row.words else ""
        assert any(row_of(status, codes, message) is row for status in row.statuses), row
