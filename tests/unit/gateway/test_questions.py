"""POST /questions: what is taken, what is refused, and that nothing is acknowledged that Kafka doesn't hold."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from services.contracts.codec import decode
from services.contracts.question import Question, Submission
from services.core import ids
from services.core.case.sizes import QUESTION_BYTES
from services.gateway.app import Outside, create_app
from services.gateway.ingest.body import BATCH_BYTES

SAMPLES = Path(__file__).parents[3] / "services/local/samples/questions.jsonl"
QUESTION: dict[str, Any] = {"question": "Which one?", "options": {"A": "this", "B": "that"}, "answer": "B"}
RECIPE = "recipe-" + "0" * 32
SECRET = "the client's own words"


async def test_a_sample_row_is_taken_as_it_is(client: httpx.AsyncClient, kafka: Any) -> None:
    row = SAMPLES.read_bytes().splitlines()[0]

    answer = await client.post("/questions", content=row, headers={"content-type": "application/json"})

    question = Question.model_validate(orjson.loads(row))
    assert (answer.status_code, answer.json()) == (202, {"case_id": ids.case_id(question)})
    (message,) = kafka.published
    assert (message.topic, message.key) == ("question-submitted", ids.case_id(question).encode())
    assert decode(Submission, message.value) == Submission(case_id=ids.case_id(question), question=question)


async def test_the_same_question_has_the_same_id_wherever_it_comes_from(client: httpx.AsyncClient) -> None:
    options = {"B": "that", "A": "this"}
    other = QUESTION | {"question": " Which  one?\n", "options": options, "source": "elsewhere", "id": "7"}
    answers = [await client.post("/questions", json=body) for body in (QUESTION, QUESTION, other)]
    assert len({answer.json()["case_id"] for answer in answers}) == 1


async def test_a_recipe_is_named_in_the_query(client: httpx.AsyncClient, kafka: Any) -> None:
    assert (await client.post("/questions", json=QUESTION, params={"recipe": RECIPE})).status_code == 202
    assert decode(Submission, kafka.published[0].value).recipe_id == RECIPE


async def test_unknown_fields_travel_with_the_question(client: httpx.AsyncClient, kafka: Any) -> None:
    await client.post("/questions", json=QUESTION | {"exam": {"year": 2024}})
    assert orjson.loads(kafka.published[0].value)["question"]["exam"] == {"year": 2024}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_content_types_that_are_json(client: httpx.AsyncClient, content_type: str) -> None:
    body = orjson.dumps(QUESTION)
    assert (await client.post("/questions", content=body, headers={"content-type": content_type})).status_code == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonl", ""])
async def test_other_content_types_are_refused(client: httpx.AsyncClient, kafka: Any, content_type: str) -> None:
    answer = await client.post("/questions", content=b"{}", headers={"content-type": content_type})
    assert (answer.status_code, kafka.published) == (415, [])


def _without(field: str) -> dict[str, Any]:
    return {name: value for name, value in QUESTION.items() if name != field}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (_without("question"), ["question"]),
        (_without("options"), ["options"]),
        (_without("answer"), ["answer"]),
        ({}, ["question", "options", "answer"]),
        (QUESTION | {"question": ""}, ["question"]),
        (QUESTION | {"question": "x" * 20_001}, ["question"]),
        (QUESTION | {"question": 5}, ["question"]),
        (QUESTION | {"question": None}, ["question"]),
        (QUESTION | {"options": {}}, ["body"]),
        (QUESTION | {"options": {"A": "alone"}}, ["body"]),
        (QUESTION | {"options": {"A": "first", "C": "third"}}, ["body"]),
        (QUESTION | {"options": {"AB": "one", "B": "that"}}, ["body"]),
        (QUESTION | {"options": ["this", "that"]}, ["options"]),
        (QUESTION | {"options": {"A": "", "B": "that"}}, ["options.A"]),
        (QUESTION | {"options": {"A": 1, "B": "that"}}, ["options.A"]),
        (QUESTION | {"options": {SECRET: 1, "B": "that"}}, ["options.(unknown)"]),
        (QUESTION | {"answer": "C"}, ["body"]),
        (QUESTION | {"answer": 1}, ["answer"]),
        (QUESTION | {"context": SECRET}, ["context"]),
        (QUESTION | {"context": ["fine", ""]}, ["context.1"]),
        (QUESTION | {"context": ["x"] * 51}, ["context"]),
        (QUESTION | {"source": "x" * 201}, ["source"]),
        (QUESTION | {"id": 42}, ["id"]),
        (QUESTION | {"subject": [SECRET]}, ["subject"]),
        (QUESTION | {"recipe_id": RECIPE}, ["recipe_id"]),
        ([], ["body"]),
        (SECRET, ["body"]),
    ],
)
async def test_an_invalid_question_names_the_field_and_reason(
    client: httpx.AsyncClient, kafka: Any, body: Any, fields: list[str]
) -> None:
    answer = await client.post("/questions", json=body)

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["fields"]] == fields
    assert all(error["why"] for error in answer.json()["fields"])
    assert SECRET not in answer.text
    assert kafka.published == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"the client's own words",
        b"\xff\xfe",
        b'{"question": "\\ud800"}',
        b'{"n": NaN}',
        b'{"n": 123456789012345678901234567890}',
        b'{"question":"q","options":{"A":"x","B":"y"},"answer":"A","deep":' + b"[" * 300 + b"]" * 300 + b"}",
        b"[" * 100_000,
    ],
)
async def test_json_that_cannot_be_encoded_again_is_refused(client: httpx.AsyncClient, kafka: Any, body: bytes) -> None:
    answer = await client.post("/questions", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, kafka.published) == (422, [])
    assert SECRET not in answer.text


async def test_a_recipe_that_is_not_published_is_refused_with_what_is(outside: Outside, kafka: Any) -> None:
    """Else it waits at the router, and dies there."""
    known = {"recipe-" + "0" * 31 + "1": "default", "recipe-" + "7" * 32: "paper"}
    app = create_app(replace(outside, published=lambda: known))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        near = await client.post("/questions", json=QUESTION, params={"recipe": RECIPE})
        far = await client.post("/questions", json=QUESTION, params={"recipe": "recipe-" + "a" * 32})
        lines = await client.post(
            "/questions", content=b"{}", params={"recipe": RECIPE}, headers={"Content-Type": "application/x-ndjson"}
        )
        assert [each.status_code for each in (near, far, lines)] == [422, 422, 422]
        assert kafka.published == []
        there = await client.post("/questions", json=QUESTION, params={"recipe": next(iter(known))})
    assert near.json()["fields"][0]["field"] == "query.recipe"
    assert "did you mean recipe-00000000000000000000000000000001 (default)?" in near.json()["fields"][0]["why"]
    assert "(default), recipe-77777777777777777777777777777777 (paper)" in far.json()["fields"][0]["why"]
    assert there.status_code == 202


@pytest.mark.parametrize("query", [{"recipe": SECRET}, {"recipe": "recipe-1"}, {"recipe_id": RECIPE}])
async def test_a_recipe_that_is_none_is_refused(client: httpx.AsyncClient, kafka: Any, query: dict[str, str]) -> None:
    answer = await client.post("/questions", json=QUESTION, params=query)
    assert (answer.status_code, kafka.published) == (422, [])
    assert answer.json()["fields"][0]["field"].startswith("query.")
    assert SECRET not in answer.text


class Chunks(httpx.AsyncByteStream):
    """A chunked body that notes how much of it was read."""

    def __init__(self, chunk: bytes, count: int) -> None:
        self.chunk, self.count, self.read = chunk, count, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.count):
            self.read += len(self.chunk)
            yield self.chunk


async def test_the_largest_question_is_taken_and_a_byte_more_is_not(client: httpx.AsyncClient, kafka: Any) -> None:
    row = orjson.dumps(QUESTION | {"notes": ""})
    largest = row[:-2] + b"x" * (QUESTION_BYTES - len(row)) + row[-2:]
    headers = {"content-type": "application/json"}

    assert (await client.post("/questions", content=largest, headers=headers)).status_code == 202
    assert (await client.post("/questions", content=largest + b" ", headers=headers)).status_code == 413
    assert len(kafka.published) == 1


async def test_a_chunked_body_is_not_read_beyond_the_bound(client: httpx.AsyncClient, kafka: Any) -> None:
    stream = Chunks(b"x" * 65_536, 10_000)
    answer = await client.post("/questions", content=stream, headers={"content-type": "application/json"})
    assert (answer.status_code, kafka.published) == (413, [])
    assert stream.read == QUESTION_BYTES + 65_536


async def test_a_declared_length_beyond_the_bound_is_refused_unread(client: httpx.AsyncClient) -> None:
    stream = Chunks(b"x", 1)
    headers = {"content-type": "application/json", "content-length": str(BATCH_BYTES + 1)}
    assert (await client.post("/questions", content=stream, headers=headers)).status_code == 413
    assert stream.read == 0


async def test_kafka_away_is_a_503_and_no_acknowledgement(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.away = True
    answer = await client.post("/questions", json=QUESTION)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "case_id" not in answer.text

    kafka.away = False
    assert (await client.post("/questions", json=QUESTION)).status_code == 202


async def test_the_wait_for_a_silent_kafka_is_bounded(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.silent = True
    assert (await client.post("/questions", json=QUESTION)).status_code == 503


async def test_excess_requests_are_refused_at_once(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.silent = True
    async with asyncio.TaskGroup() as group:
        two = [group.create_task(client.post("/questions", json=QUESTION)) for _ in range(2)]
        await kafka.waiting.wait()
        third = await client.post("/questions", json=QUESTION)
    assert third.headers["retry-after"] == "1"
    assert [task.result().headers["retry-after"] for task in two] == ["5", "5"]

    kafka.silent = False
    assert (await client.post("/questions", json=QUESTION)).status_code == 202


async def test_of_keys_that_stand_twice_the_last_counts_for_every_reader(client: httpx.AsyncClient, kafka: Any) -> None:
    twice = orjson.dumps(QUESTION)[:-1] + b',"answer":"A","options":{"A":"last","B":"that"}}'
    answer = await client.post("/questions", content=twice, headers={"content-type": "application/json"})

    held = decode(Submission, kafka.published[0].value)
    assert (held.question.answer, held.question.options["A"]) == ("A", "last")
    assert answer.json() == {"case_id": ids.case_id(held.question)}
