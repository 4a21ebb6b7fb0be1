"""Lines of questions: however they are cut up, each is decided as if it came alone; and nothing is acknowledged that
Kafka doesn't hold, whenever it goes away."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord
from services.gateway.http.metrics import Metrics
from services.gateway.http.refusals import Refused
from services.gateway.ingest import upload as module
from services.gateway.ingest.lines import Line, Lines
from services.gateway.ingest.publishing import Publisher
from services.gateway.ingest.submissions import from_line
from services.gateway.ingest.upload import Upload
from tests.unit.gateway.conftest import FakeKafka

QUESTION: dict[str, Any] = {"question": "Which one?", "options": {"A": "this", "B": "that"}, "answer": "B"}
ROW = orjson.dumps(QUESTION)
NDJSON = {"content-type": "application/x-ndjson"}

good = st.integers(0, 30).map(lambda number: orjson.dumps(QUESTION | {"question": f"Number {number}?"}))
NO_QUESTIONS = [
    *(b"{", b"null", b"[]", b"[" + ROW + b"]", b"\xff", b"x" * 500, ROW + ROW),
    *(ROW[:-1], ROW[:-4] + b'"C"}', ROW[:-1] + b',"recipe_id":1}', ROW[:-1] + b',"n":123456789012345678901234567890}'),
]
bad = st.sampled_from(NO_QUESTIONS)
rows = st.lists(good | bad | st.sampled_from([b"", b"  ", b"\t"]), max_size=12)


async def cut(body: bytes, sizes: Sequence[int]) -> AsyncGenerator[bytes, None]:
    """The body in pieces of these sizes, again and again."""
    at, turn = 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1


def taking(kafka: FakeKafka, **changes: Any) -> Upload:
    arguments: dict[str, Any] = {"recipe_id": None, "with_ids": True, **changes}
    return Upload(Publisher(kafka, Metrics(), 1.0), Metrics(), asyncio.Event(), **arguments)


def parsed(answer: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *lines, summary = map(orjson.loads, answer.splitlines())
    return lines, summary


def alone(lines: Sequence[bytes]) -> dict[int, OutgoingRecord | Refused]:
    """What becomes of each that isn't blank where it comes alone, by its number."""
    return {number: from_line(line, None) for number, line in enumerate(lines, 1) if line.strip()}


def as_lines(decided: dict[int, OutgoingRecord | Refused]) -> list[dict[str, Any]]:
    return [
        {"line": number, "case_id": each.key.decode()}
        if isinstance(each, OutgoingRecord)
        else {"line": number, **each.refusal.model_dump()}
        for number, each in decided.items()
    ]


endings = st.sampled_from([b"", b"\n", b"\n\n"])
sizes = st.lists(st.integers(1, 300), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(lines=rows, newline=st.sampled_from([b"\n", b"\r\n"]), ending=endings, sizes=sizes)
async def test_each_line_is_decided_as_if_it_came_alone(
    lines: list[bytes], newline: bytes, ending: bytes, sizes: list[int]
) -> None:
    expected, kafka = alone(lines), FakeKafka()
    messages = [each for each in expected.values() if isinstance(each, OutgoingRecord)]
    taking_all = taking(kafka).take(cut(newline.join(lines) + ending, sizes))
    if not expected:
        with pytest.raises(Refused):
            await taking_all
        return

    answer, stopped = await taking_all

    said, summary = parsed(answer)
    assert stopped is None
    assert said == as_lines(expected)
    assert kafka.published == messages  # in order, too
    assert (summary["accepted"], summary["refused"]) == (len(messages), len(expected) - len(messages))
    assert summary["accepted_through"] >= max(expected)
    assert summary["stopped"] is None


@settings(max_examples=60, deadline=None)
@given(lines=rows.filter(lambda lines: any(map(bytes.strip, lines))), sizes=sizes, takes=st.integers(0, 20))
async def test_kafka_may_go_away_at_any_line(lines: list[bytes], sizes: list[int], takes: int) -> None:
    """What is said to be decided is decided, of the rest nothing is said; and with the rest sent again all is there."""
    kafka = FakeKafka()
    kafka.takes, kafka.away = takes, takes == 0
    answer, stopped = await taking(kafka).take(cut(b"\n".join(lines), sizes))

    said, summary = parsed(answer)
    through = summary["accepted_through"]
    expected = alone(lines)
    assert said == as_lines({number: each for number, each in expected.items() if number <= through})
    assert (stopped is None) == (summary["stopped"] is None)
    assert stopped is None or (stopped.status, stopped.headers["Retry-After"]) == (503, "5")
    assert stopped is not None or through == len(lines) - (lines[-1] == b"")

    kafka.takes, kafka.away = 10_000, False
    if any(number > through for number in expected):
        await taking(kafka).take(cut(b"\n".join(lines[through:]), sizes))
    assert kafka.published == [each for each in expected.values() if isinstance(each, OutgoingRecord)]


@given(sizes=sizes)
def test_a_line_that_is_too_long_is_not_kept_and_the_next_is_read(sizes: list[int]) -> None:
    body, lines = b"ab\n" + b"x" * 2_000 + b"\n\n12345678901", Lines(limit=10)
    pieces = [body[start : start + sizes[0]] for start in range(0, len(body), sizes[0])]
    found = [line for piece in pieces for line in lines.feed(piece)] + lines.end()
    assert found == [Line(1, b"ab"), Line(2, None), Line(4, None)]


# --- over HTTP --------------------------------------------------------------------------------------------------------


async def test_lines_over_http(client: httpx.AsyncClient, kafka: Any) -> None:
    longest = ROW[:-1] + b" " * (QUESTION_BYTES - len(ROW)) + b"}"
    body = b"\n".join([ROW, b"{}", longest, longest + b" ", b"", ROW])

    answer = await client.post("/questions", content=body, headers=NDJSON)

    (second, fourth), summary = parsed(answer.content)
    assert (answer.status_code, answer.headers["content-type"]) == (207, "application/x-ndjson")
    assert (second["line"], [error["field"] for error in second["fields"]]) == (2, ["question", "options", "answer"])
    assert (fourth["line"], fourth["fields"]) == (4, [])
    assert summary == {"accepted": 3, "refused": 2, "accepted_through": 6, "stopped": None}
    assert len(kafka.published) == 3

    figures = (await client.get("/metrics")).text
    for became, count in (("accepted", 3), ("refused", 2)):
        assert f'batched_questions_total{{became="{became}",form="lines"}} {count}.0' in figures
    assert "questions_accepted_total 3.0" in figures
    for reason in ("malformed", "too_large"):
        assert f'questions_refused_total{{reason="{reason}"}} 1.0' in figures


async def test_all_good_ones_are_a_202_with_ids_where_asked_for(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/questions", content=ROW, headers=NDJSON, params=params) for params in ({}, {"ids": "true"})
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [len(answer.content.splitlines()) for answer in answers] == [1, 2]
    alone = await client.post("/questions", json=QUESTION)
    assert parsed(answers[1].content)[0] == [{"line": 1, **alone.json()}]


async def test_kafka_away_is_a_503_with_what_was_decided(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.takes = 1

    async def body() -> AsyncGenerator[bytes, None]:
        yield ROW + b"\n{}\n"
        yield ROW + b"\n" + ROW + b"\n"

    answer = await client.post("/questions", content=body(), headers=NDJSON)

    (second,), summary = parsed(answer.content)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (second["line"], summary["accepted"], summary["accepted_through"]) == (2, 1, 2)
    assert "safe" in summary["stopped"]


async def test_an_idle_client_gets_the_last_accepted_line(kafka: FakeKafka) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield ROW + b"\n" + ROW[:10]
        await asyncio.Event().wait()

    answer, stopped = await taking(kafka, read_within_s=0.05).take(body())
    assert stopped is not None
    assert (stopped.status, parsed(answer)[1]["accepted_through"]) == (408, 1)


async def test_a_dripping_client_times_out(kafka: FakeKafka) -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    _, stopped = await taking(kafka, read_within_s=0.05).take(body())
    assert stopped is not None
    assert stopped.status == 408


async def test_an_endless_upload_ends_with_the_gateway(kafka: FakeKafka) -> None:
    draining = asyncio.Event()
    upload = Upload(Publisher(kafka, Metrics(), 1.0), Metrics(), draining, recipe_id=None, with_ids=False)

    async def body() -> AsyncGenerator[bytes, None]:
        yield ROW + b"\n"
        draining.set()
        yield ROW + b"\n"

    answer, stopped = await upload.take(body())
    assert stopped is not None
    assert (stopped.status, parsed(answer)[1]["accepted_through"]) == (503, 1)
    assert len(kafka.published) == 1


async def test_an_answer_that_grows_too_long_ends_the_reading(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_BYTES", 10_000)

    async def body() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"{}\n" * 10

    answer, stopped = await taking(kafka).take(body())
    said, summary = parsed(answer)
    assert stopped is not None
    assert (stopped.status, summary["refused"], summary["accepted_through"]) == (413, len(said), len(said))
    assert 10_000 < len(answer) < 20_000


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  \r\n"])
async def test_a_body_without_lines_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/questions", content=body, headers=NDJSON)).status_code == 422


# --- arrays -----------------------------------------------------------------------------------------------------------


async def test_an_array_has_a_result_for_each(client: httpx.AsyncClient, kafka: Any) -> None:
    alone = (await client.post("/questions", json=QUESTION)).json()
    large = QUESTION | {"notes": "x" * QUESTION_BYTES}
    answer = await client.post("/questions", json=[QUESTION, QUESTION | {"answer": "C"}, 5, large, QUESTION])

    content = answer.json()
    assert (answer.status_code, content["accepted"], content["refused"]) == (207, 2, 3)
    assert [content["results"][place] for place in (0, 4)] == [{"index": 0, **alone}, {"index": 4, **alone}]
    assert [result["index"] for result in content["results"]] == [0, 1, 2, 3, 4]
    assert "answer must be one of A, B" in content["results"][1]["fields"][0]["why"]
    assert len(kafka.published) == 3

    assert (await client.post("/questions", json=[QUESTION, QUESTION])).status_code == 202


async def test_an_array_is_bounded_and_kafka_away_acknowledges_none_of_it(
    client: httpx.AsyncClient, kafka: Any
) -> None:
    assert (await client.post("/questions", json=[QUESTION] * 1_001)).status_code == 413
    assert (await client.post("/questions", json=["x" * 2**22])).status_code == 413
    kafka.away = True
    answer = await client.post("/questions", json=[QUESTION, {}])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "case" not in answer.text
    assert kafka.published == []


async def test_excess_batches_are_refused_at_once(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.silent = True
    first = asyncio.create_task(client.post("/questions", json=[QUESTION]))
    await kafka.waiting.wait()
    for body, headers in ((b"[" + ROW + b"]", {"content-type": "application/json"}), (ROW, NDJSON)):
        busy = await client.post("/questions", content=body, headers=headers)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert (await first).headers["retry-after"] == "5"
