"""Health, readiness, metrics, and API docs."""

from typing import Any

import httpx
import pytest

from services.gateway.http.cache import TtlCache

QUESTION = {"question": "Which one?", "options": {"A": "this", "B": "that"}, "answer": "B"}


async def test_alive_whatever_kafka_does(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.away = True
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(("away", "status"), [(False, 200), (True, 503)])
async def test_ready_where_kafka_can_be_reached(client: httpx.AsyncClient, kafka: Any, away: bool, status: int) -> None:
    kafka.away = away
    assert (await client.get("/readyz")).status_code == status


async def test_kafka_is_asked_once_a_second_at_most(kafka: Any) -> None:
    now = 100.0
    ready = TtlCache(kafka.reachable, 1.0, clock=lambda: now)
    assert [await ready(), await ready()] == [True, True]
    assert kafka.asked == 1

    kafka.away, now = True, now + 1.0
    assert not await ready()


async def test_accepted_and_refused_questions_are_counted(client: httpx.AsyncClient, kafka: Any) -> None:
    await client.post("/questions", json=QUESTION)
    await client.post("/questions", json={})
    await client.post("/questions", content=b"{}")
    kafka.away = True
    await client.post("/questions", json=QUESTION)

    figures = (await client.get("/metrics")).text
    assert "reasonmed_gateway_questions_accepted_total 1.0" in figures
    for reason in ("malformed", "content_type", "kafka_away"):
        assert f'reasonmed_gateway_questions_refused_total{{reason="{reason}"}} 1.0' in figures
    assert "reasonmed_gateway_publish_seconds_count 2.0" in figures


async def test_the_docs_show_a_question_that_is_taken(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/questions"]["post"]
    json, lines = operation["requestBody"]["content"].values()

    assert (await client.post("/questions", json=json["examples"]["one"]["value"])).status_code == 202
    assert (await client.post("/questions", json=json["examples"]["many"]["value"])).status_code == 207
    headers = {"content-type": "application/x-ndjson"}
    assert (await client.post("/questions", content=lines["example"], headers=headers)).status_code == 202
    assert {"202", "207", "413", "415", "422", "503"} <= set(operation["responses"])
    assert operation["summary"]
    assert operation["parameters"][0]["name"] == "recipe"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_has_the_form_of_every_service(client: httpx.AsyncClient, kafka: Any, path: str) -> None:
    assert (await client.get(path)).json() == {"ok": True, "why": []}


async def test_an_unready_gateway_says_why(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.away = True
    assert (await client.get("/readyz")).json() == {"ok": False, "why": ["Kafka can't be reached"]}
