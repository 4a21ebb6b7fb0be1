"""The gateway on Apache Kafka itself: what it acknowledges is in the topic; without Kafka it acknowledges nothing."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.question import Submission
from services.contracts.record import Record
from services.contracts.topics import CASE_ACCEPTED, QUESTION_SUBMITTED, RECORD_COMPLETED
from services.core.messages import OutgoingRecord, Position
from services.core.status.case_status import CaseEvent
from services.ledger import open_status_store
from services.local.processes.ports import free_ports
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from services.protogen.examples import examples
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import TopicSpec, declare
from services.runtime.kafka.reader import read_topic
from services.runtime.kafka.sink import KafkaSink
from tests.kafka.tap import http

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

PROJECT = Path(__file__).parents[2]
NDJSON = {"content-type": "application/x-ndjson"}


class Gateway:
    """A gateway's process, and a client of it."""

    def __init__(self, process: Process, client: httpx.AsyncClient, kafka: KafkaClient) -> None:
        self.process = process
        self.client = client
        self._kafka = kafka

    async def post(self, number: object) -> httpx.Response:
        return await self.client.post("/questions", json=question(number))

    async def submitted(self) -> dict[str, Submission]:
        """What the topic holds, by key."""
        messages = [message async for message in read_topic(self._kafka, QUESTION_SUBMITTED)]
        return {(m.key or b"").decode(): decode(Submission, m.value or b"") for m in messages}


def question(number: object) -> dict[str, Any]:
    return {"question": f"Question {number} of the gateway?", "options": {"A": "this", "B": "that"}, "answer": "A"}


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(kafka: KafkaCluster, tmp_path: Path) -> AsyncIterator[Gateway]:
    client = KafkaClient(bootstrap=kafka.bootstrap)
    await declare(client, [TopicSpec(name=QUESTION_SUBMITTED, partitions=3, replication=1)])
    async with AsyncExitStack() as stack:
        yield await start(stack, client, tmp_path)


async def start(stack: AsyncExitStack, kafka: KafkaClient, folder: Path) -> Gateway:
    (port,) = free_ports(1)
    http = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30))

    async def alive() -> None:
        await until_status(lambda: http.get("/healthz"), 200)

    env = {**os.environ, "PYTHONPATH": str(PROJECT), "REASONMED_PORT": str(port)}
    env |= {"REASONMED_LEDGER": f"sqlite://{folder}/ledger.sqlite"}
    env |= {"REASONMED_KAFKA__BOOTSTRAP": kafka.bootstrap}
    argv = [sys.executable, "-m", "services.gateway"]
    process = Process("gateway", argv, log=folder / "gateway.log", env=env, cwd=PROJECT, ready=alive)
    return Gateway(await stack.enter_async_context(process), http, kafka)


async def until_status(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    """Asks until it is answered so; bounded by the test's own time."""
    while True:
        try:
            if (answer := await ask()).status_code == status:
                return answer
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.05)


async def test_acknowledged_questions_are_in_the_topic(gateway: Gateway) -> None:
    answers = await asyncio.gather(*(gateway.post(number) for number in range(50)))
    assert {answer.status_code for answer in answers} == {202}

    submitted = await gateway.submitted()
    for number, answer in enumerate(answers):
        held = submitted[answer.json()["case_id"]]
        assert held.case_id == answer.json()["case_id"]
        assert held.question.question == question(number)["question"]


async def test_the_gateway_recovers_from_a_kafka_restart(gateway: Gateway, kafka: KafkaCluster) -> None:
    assert (await gateway.post("before")).status_code == 202
    assert (await gateway.client.get("/readyz")).status_code == 200

    await kafka.stop()
    refused = await gateway.post("meanwhile")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "case_id" not in refused.json()
    assert (await gateway.client.get("/readyz")).status_code == 503
    assert (await gateway.client.get("/healthz")).status_code == 200

    await kafka.start()
    await until_status(lambda: gateway.client.get("/readyz"), 200)
    accepted = await until_status(lambda: gateway.post("meanwhile"), 202)
    assert accepted.json()["case_id"] in await gateway.submitted()


async def test_questions_acknowledged_during_a_kafka_stop_are_kept(gateway: Gateway, kafka: KafkaCluster) -> None:
    assert (await gateway.post("first")).status_code == 202  # whatever is made once is made
    posting = [asyncio.create_task(gateway.post(f"load {number}")) for number in range(50)]
    await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
    await kafka.kill_broker(0)
    answers = await asyncio.gather(*posting, gateway.post("last"))
    assert {answer.status_code for answer in answers} == {202, 503}

    await kafka.start_broker(0)
    await until_status(lambda: gateway.client.get("/readyz"), 200)
    assert {answer.json()["case_id"] for answer in answers if answer.status_code == 202} <= (
        await gateway.submitted()
    ).keys()


async def test_of_lines_all_up_to_one_are_held_when_kafka_goes(gateway: Gateway, kafka: KafkaCluster) -> None:
    """The response names the last line that was accepted; with the rest sent again, every question is there."""
    lines = [orjson.dumps(question(f"of line {number}")) + b"\n" for number in range(5_000)]
    sent, killed = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(lines), 100):
            yield b"".join(lines[start : start + 100]) + b"{}\n"
            if start == 1_000:
                sent.set()
                await killed.wait()

    posting = asyncio.create_task(gateway.client.post("/questions", content=body(), headers=NDJSON))
    await sent.wait()
    await kafka.kill_broker(0)
    killed.set()
    stopped = await posting
    *refused, summary = map(orjson.loads, stopped.content.splitlines())
    through = summary["accepted_through"]
    assert (stopped.status_code, stopped.headers["retry-after"]) == (503, "5")
    assert summary["accepted"] + len(refused) == through < 5_050
    assert [each["line"] for each in refused] == list(range(101, through + 1, 101))

    await kafka.start_broker(0)
    await until_status(lambda: gateway.client.get("/readyz"), 200)
    held = {submission.question.question for submission in (await gateway.submitted()).values()}
    accepted = [number - number // 101 - 1 for number in range(1, through + 1) if number % 101]
    assert {question(f"of line {number}")["question"] for number in accepted} <= held

    again = await until_status(lambda: gateway.client.post("/questions", content=b"".join(lines), headers=NDJSON), 202)
    assert orjson.loads(again.content)["accepted"] == 5_000
    held = {submission.question.question for submission in (await gateway.submitted()).values()}
    assert {question(f"of line {number}")["question"] for number in range(5_000)} <= held


async def test_it_starts_without_kafka_and_says_so(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        gateway = await start(stack, KafkaClient(bootstrap="127.0.0.1:9"), tmp_path)
        assert (await gateway.client.get("/readyz")).status_code == 503
        assert (await gateway.post("nowhere")).status_code == 503
        assert "no API keys are set" in gateway.process.log_tail()
        assert await gateway.process.terminate() == 0, gateway.process.log_tail()


async def test_sigterm_answers_what_is_under_way(gateway: Gateway) -> None:
    """A body half sent when the signal comes is read, published and acknowledged; then the process exits with 0."""
    sent_half, signalled = asyncio.Event(), asyncio.Event()
    body = httpx.Request("POST", "http://x", json=question("under way")).content

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:20]
        sent_half.set()
        await signalled.wait()
        yield body[20:]

    posting = asyncio.create_task(
        gateway.client.post("/questions", content=slowly(), headers={"content-type": "application/json"})
    )
    await sent_half.wait()
    await until_status(lambda: gateway.client.get("/healthz"), 200)  # so the half was read before this was answered
    ending = asyncio.create_task(gateway.process.terminate())
    await _until_closed(gateway.client)
    signalled.set()

    answer = await posting
    assert answer.status_code == 202
    assert await ending == 0, gateway.process.log_tail()
    assert answer.json()["case_id"] in await gateway.submitted()


async def _until_closed(client: httpx.AsyncClient) -> None:
    """Until no new connection is taken: the signal has arrived."""
    while True:
        try:
            async with http(str(client.base_url)) as fresh:
                await fresh.get("/healthz")
        except httpx.TransportError:
            return
        await asyncio.sleep(0.02)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_as_the_readme_says_with_curl(gateway: Gateway, kafka: KafkaCluster, tmp_path: Path) -> None:
    """Lines go in, one of them wrong; then what the topics hold of a case is shown, as it is there."""
    client, url = KafkaClient(bootstrap=kafka.bootstrap), str(gateway.client.base_url).rstrip("/")
    lines = [question(f"with curl {number}") for number in range(2_000)] + [{"question": "Which?"}]
    (tmp_path / "questions.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    kind = ("-H", "Content-Type: application/x-ndjson")
    for sent in (
        ("--data-binary", f"@{tmp_path}/questions.jsonl"),
        ("-X", "POST", "-T", f"{tmp_path}/questions.jsonl"),
    ):
        *refused, summary = map(orjson.loads, (await curl(f"{url}/questions", *kind, *sent)).splitlines())
        assert [(each["line"], len(each["fields"])) for each in refused] == [(2_001, 2)]
        assert summary == {"accepted": 2_000, "refused": 1, "accepted_through": 2_001, "stopped": None}

    case, record = examples()["case"], examples()["record"]
    assert isinstance(case, Case)
    assert isinstance(record, Record)
    written = [(CASE_ACCEPTED, case), (RECORD_COMPLETED, record.with_(of=1, index=0))]
    await declare(client, [TopicSpec(name=topic, partitions=3, replication=1) for topic, _ in written])
    async with KafkaSink(client) as sink:
        await sink.publish(
            [OutgoingRecord(topic, case.case_id.encode(), encode(message), {}) for topic, message in written]
        )
    events = asyncio.create_task(curl("-N", f"{url}/cases/{case.case_id}/events"))
    async with open_status_store(f"sqlite://{tmp_path}/ledger.sqlite") as statuses:
        async for message in read_topic(client, CASE_ACCEPTED, RECORD_COMPLETED):
            at = Position(message.topic, message.partition, message.offset)
            seen = CaseEvent(case_id=case.case_id, work_id=case.work_id, position=at, written_ms=message.timestamp_ms)
            await statuses.observe([replace(seen, of=int(at.topic == RECORD_COMPLETED))])
    told_last = (await events).split(b"\n\n")[-2]
    assert told_last.startswith(b"event: end\ndata: {")
    assert b'"end":"accepted"' in told_last

    (story,) = orjson.loads(await curl(f"{url}/cases/{case.case_id}/story"))["stories"]
    assert story["case"] == orjson.loads(encode(case))
    assert story["records"] == [orjson.loads(encode(written[1][1]))]
    shown = orjson.loads(await curl(f"{url}/cases/{case.case_id}"))
    assert (shown["works"][0]["end"], shown["records"]) == ("accepted", story["records"])


async def curl(*arguments: str) -> bytes:
    """What curl prints, once it has ended by itself."""
    process = await asyncio.create_subprocess_exec("curl", "-sS", *arguments, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed
