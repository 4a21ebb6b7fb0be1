"""What is shown of cases: standings from the store, messages from Kafka, each away or gone in its own way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from services.contracts.base import CaseId
from services.core.errors import LedgerAway
from services.core.messages import Position
from services.core.status.case_status import CaseEvent, Cost
from services.gateway.app import Outside, create_app
from services.gateway.http.dashboard import Dashboard
from services.gateway.read.reading import Store
from services.ledger.errors import LedgerUnusable
from services.ledger.memory.status import MemoryStatusStore

CASE, OTHER = CaseId("case-" + "a" * 32), CaseId("case-" + "b" * 32)
WORK = "work-" + "a" * 32


def case_event(topic: str, at: int, **changes: Any) -> CaseEvent:
    fields: dict[str, Any] = {
        "case_id": CASE,
        "work_id": WORK,
        "recipe_id": "recipe-" + "a" * 32,
        "title": "Which one?",
    }
    fields |= {"position": Position(topic, 1, at), "written_ms": 1_700_000_000_000 + at * 1_000, "source": "bank"}
    return CaseEvent(**{**fields, **changes})


SUBMITTED = case_event("question-submitted", 0, work_id="", recipe_id="")
VERIFIED = case_event("paths-verified", 2, paths={"correct": 5, "error": 4})
ACCEPTED = case_event("case-accepted", 3, difficulty="easy", paths={"correct": 5, "error": 4})
RECORDS = [
    case_event("record-completed", 4 + n, index=n, of=2, difficulty="easy", cost=Cost("qwen", 0.1, 1, 1))
    for n in (0, 1)
]
REFUSED = case_event(
    "question-refused", 9, case_id=OTHER, work_id="", recipe_id="", end="refused", why="near_duplicate"
)


@pytest.fixture
async def ended(standings: MemoryStatusStore, kafka: Any) -> None:
    """A case that was accepted, and a question that was refused; Kafka holds their messages."""
    await standings.observe([SUBMITTED, VERIFIED, ACCEPTED, *RECORDS, REFUSED])
    for seen in (SUBMITTED, VERIFIED, ACCEPTED, *RECORDS, REFUSED):
        kafka.held[seen.position] = orjson.dumps({"of": seen.topic, "index": seen.index})


async def test_status_and_records_of_a_case(client: httpx.AsyncClient, ended: None) -> None:
    answer = (await client.get(f"/cases/{CASE}")).json()

    assert (answer["case_id"], answer["title"], answer["source"]) == (CASE, "Which one?", "bank")
    (work,) = answer["works"]
    assert (work["work_id"], work["topic"], work["end"]) == (WORK, "record-completed", "accepted")
    assert work["difficulty"] == "easy"
    assert (work["begun"], work["since"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:25Z")
    assert [step["topic"] for step in work["way"]] == [
        *("question-submitted", "paths-verified", "case-accepted"),
        *["record-completed"] * 2,
    ]
    assert work["way"][1]["paths"] == {"correct": 5, "error": 4, "unknown": 0, "unverified": 0}
    assert (work["way"][1]["partition"], work["way"][1]["offset"]) == (1, 2)
    assert [record["index"] for record in answer["records"]] == [0, 1]


async def test_an_open_case_has_no_records_and_needs_no_kafka(
    client: httpx.AsyncClient, standings: MemoryStatusStore, kafka: Any
) -> None:
    await standings.observe([VERIFIED, ACCEPTED, RECORDS[0]])
    kafka.away = True
    answer = (await client.get(f"/cases/{CASE}")).json()
    assert (answer["works"][0]["end"], answer["works"][0]["records"], answer["records"]) == (None, 1, [])


async def test_its_story(client: httpx.AsyncClient, kafka: Any, ended: None) -> None:
    (story,) = (await client.get(f"/cases/{CASE}/story")).json()["stories"]
    assert (story["work_id"], story["case"]["of"], story["refused"], story["note"]) == (WORK, "case-accepted", None, "")
    assert [record["index"] for record in story["records"]] == [0, 1]

    del kafka.held[ACCEPTED.position]
    kafka.held[RECORDS[0].position] = b"no JSON"
    (story,) = (await client.get(f"/cases/{CASE}/story")).json()["stories"]
    assert (story["case"], len(story["records"])) == (None, 1)
    assert "2 of these messages" in story["note"]


async def test_the_story_of_a_refused_question(client: httpx.AsyncClient, ended: None) -> None:
    (story,) = (await client.get(f"/cases/{OTHER}/story")).json()["stories"]
    assert (story["work_id"], story["case"], story["records"]) == ("", None, [])
    assert story["refused"]["of"] == "question-refused"


async def test_the_latest_cases(client: httpx.AsyncClient, ended: None) -> None:
    async def found(**query: object) -> list[str]:
        return [each["case_id"] for each in (await client.get("/cases", params=query)).json()["cases"]]  # type: ignore[arg-type]

    assert await found() == [OTHER, CASE]
    assert await found(limit=1) == [OTHER]
    assert await found(end="accepted", difficulty="easy", source="bank", topic="record-completed") == [CASE]
    assert await found(end="open") == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/cases?topic=nowhere", "query.topic"),
        ("/cases?end=soon", "query.end"),
        ("/cases?limit=501", "query.limit"),
        ("/cases?colour=red", "query.(unknown)"),
        ("/cases/case-1", "path.case_id"),
        ("/cases/case-1/story", "path.case_id"),
        ("/cases/case-1/events", "path.case_id"),
    ],
)
async def test_invalid_parameters_are_reported(client: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, field)


@pytest.mark.parametrize("path", [f"/cases/{CASE}", f"/cases/{CASE}/story"])
async def test_an_unknown_case(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "may appear in a second" in answer.json()["error"]


@pytest.mark.parametrize("path", [f"/cases/{CASE}", f"/cases/{CASE}/story", "/cases", "/figures"])
async def test_the_store_away_is_a_503(client: httpx.AsyncClient, standings: MemoryStatusStore, path: str) -> None:
    standings.away = "the disk is gone"
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    figures = (await client.get("/metrics")).text
    assert 'reasonmed_gateway_reads_refused_total{reason="store_away"} 1.0' in figures
    assert (await client.post("/questions", json={})).status_code == 422  # still served


@pytest.mark.parametrize("path", [f"/cases/{CASE}", f"/cases/{CASE}/story"])
async def test_kafka_away_is_a_503(client: httpx.AsyncClient, kafka: Any, ended: None, path: str) -> None:
    kafka.away = True
    assert (await client.get(path)).headers["retry-after"] == "5"


async def test_the_figures_are_the_bytes_that_were_published(
    client: httpx.AsyncClient, standings: MemoryStatusStore
) -> None:
    assert (await client.get("/figures")).status_code == 503
    await standings.publish(b'{"at": 1.0, "new": "field"}')
    answer = await client.get("/figures")
    assert (answer.content, answer.headers["content-type"]) == (b'{"at": 1.0, "new": "field"}', "application/json")


async def test_the_topics_in_their_order(client: httpx.AsyncClient) -> None:
    topics = (await client.get("/topics")).json()
    assert topics[0]["topic"] == "question-submitted"
    medium = next(topic for topic in topics if topic["topic"] == "case-medium")
    assert (medium["group"], medium["written_by"], medium["read_by"]) == ("refiner-medium", ["router"], ["refiner"])
    assert {"description", "message", "retention_days", "compacted"} <= set(medium)


async def test_with_keys_nothing_is_shown_without_one(outside: Outside) -> None:
    app = create_app(outside, keys=[SecretStr("a-key-of-the-deployment")])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        case = f"/cases/{CASE}"
        paths = ("/figures", "/figures/stream", "/topics", "/cases", case, f"{case}/story", f"{case}/events")
        assert {(await client.get(path)).status_code for path in paths} == {401}
        assert (await client.get("/topics", headers={"authorization": "Bearer a-key-of-the-deployment"})).is_success


# --- a store that can't be opened -------------------------------------------------------------------------------------


async def test_a_store_is_opened_once_it_can_be() -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def open_store() -> AsyncIterator[MemoryStatusStore]:
        opened.append("tried")
        if len(opened) < 3:
            raise (LedgerAway("away"), LedgerUnusable("damaged"))[len(opened) - 1]
        yield MemoryStatusStore()
        opened.append("closed")

    async with Store(open_store).until_closed() as store:
        for _ in range(2):
            with pytest.raises(LedgerAway):
                await store.published()
        assert await store.published() is None
        assert await store.case(CASE) is None
    assert opened == ["tried", "tried", "tried", "closed"]


# --- the dashboard's files --------------------------------------------------------------------------------------------


async def test_the_dashboards_files(outside: Outside, tmp_path: Any) -> None:
    app = Dashboard(tmp_path / "static")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        with pytest.raises(HTTPException):
            await client.get("/")  # the application around it makes a 404 of this
        (tmp_path / "static").mkdir()
        (tmp_path / "static/index.html").write_text("<!doctype html>")
        (tmp_path / "secret").write_text("elsewhere")

        page = await client.get("/")
        assert (page.text, page.headers["cache-control"]) == ("<!doctype html>", "no-cache")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304
        assert (await client.head("/index.html")).status_code == 200
        for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret"):
            with pytest.raises(HTTPException, match="404"):
                await client.get(path)
        with pytest.raises(HTTPException, match="405"):
            await client.post("/")


async def test_the_root_leads_to_the_dashboard(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard/")
    assert (await client.get("/dashboard/nothing-here.js")).status_code == 404
