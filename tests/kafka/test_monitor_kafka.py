"""The monitor beside a stream: killed, joined and started again, its figures are what the topics count to."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.contracts.topics import (
    CASE_ACCEPTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.status.figures import Figures, Scale
from services.core.status.store import Filter, StatusStore
from services.ledger import open_status_store
from services.local.progress import Progress
from services.monitor.events import FOLLOWED
from services.runtime.kafka.reader import read_at
from tests.kafka.stream import Stream, running
from tests.kafka.tap import ask_until
from tests.kafka.test_stream_kafka import OTHERS, QUICK, SAMPLES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    folder = tmp_path_factory.mktemp("monitored")
    settings = {"REASONMED_SESSION_S": "6", "REASONMED_DRAIN_S": "20"}
    aliases = {"slow": "quick", "quick": "quick", "away": "quick"}
    async with running(
        folder, recipes=[QUICK], servers={"quick": "0.02"}, aliases=aliases, settings=settings
    ) as stream:
        await stream.servers["quick"].process.start()
        await stream.start("generator-1", *OTHERS, "monitor-1")
        yield stream


async def test_killed_joined_and_started_again_it_counts_what_the_topics_hold(stream: Stream) -> None:
    async with open_status_store(stream.ledger) as statuses:
        await stream.submit(SAMPLES[:6])
        await ask_until(lambda: published(statuses), lambda said: said is not None and said.open + ended(said) > 0)
        await stream.worker("monitor-1").kill()
        await stream.submit(SAMPLES[6:12])
        await stream.begin("monitor-2")
        await stream.begin("monitor-1")
        await stream.submit([*SAMPLES[:3], *SAMPLES[12:16]])
        await stream.until_ended(SAMPLES[:16])
        since, counted = time.time(), Progress()  # the killed monitor's last figures are of before
        for topic in FOLLOWED:
            for message in stream.tap.messages[topic]:
                counted.take(message)
        said = await ask_until(
            lambda: published(statuses),
            lambda said: said is not None and said.at > since and not (said.open or lag(said) or said.calls_under_way),
        )
        assert {end: n for end, n in said.ends.model_dump().items() if n} == dict(counted.by_end())
        seen = {each.topic: each.seen for each in said.topics}
        for topic in (QUESTION_SUBMITTED, QUESTION_ADMITTED, CASE_ACCEPTED):  # once a case; others in each round
            assert seen[topic] == len(counted.cases[topic])
        assert sum(each.records for each in said.records) == len(counted.records)
        cost = sum(sum(record.cost.values()) for record in stream.tap.seen.records.values())
        assert sum(each.usd for each in said.records) == pytest.approx(cost)
        assert dict(Counter(stream.tap.seen.difficulty.values())) == said.routes
        assert said.dead_letters == {}
        assert {each.kind for each in said.problems} <= {"service_down"}, "only the exporter is not running"


async def test_a_case_s_way_has_all_its_steps_and_their_bodies_are_where_it_says(stream: Stream) -> None:
    async with open_status_store(stream.ledger) as statuses:
        latest = await statuses.latest(Filter(end="accepted"), limit=100)
        case = await statuses.case(ids.case_id(SAMPLES[0]))
    assert case is not None
    (standing,) = case.statuses()
    assert standing.case_id in {each.case_id for each in latest}
    way = case.timeline(standing.work_id)
    topics = [event.topic for event in way]
    assert topics[:4] == [QUESTION_SUBMITTED, QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED]
    messages = {
        (message.topic, message.value)
        for topic in topics
        for message in stream.tap.messages[topic]
        if message.key == case.case_id.encode()
    }
    bodies = await read_at(stream.client, [event.position for event in way])
    assert [body.topic for body in bodies] == topics
    assert {(body.topic, body.value) for body in bodies} == messages
    await stream.until_ready("monitor-1")
    lag = re.compile(r'reasonmed_lag_offsets\{partition="\d",service="monitor",topic="[a-z-]+"\} 0')
    exported = await ask_until(lambda: stream.metrics("monitor-1"), lambda text: bool(lag.search(text)))
    assert "reasonmed_stream_cases_ended" in exported
    scale = Scale.model_validate_json(await stream.page("monitor-1", "scale"))
    assert {"generator", "router", "refiner-medium", "monitor", "exporter"} <= scale.groups.keys()
    held = {"exporter": len(stream.tap.messages[RECORD_COMPLETED])}  # no exporter runs here
    assert {group: each.left for group, each in scale.groups.items()} == dict.fromkeys(scale.groups, 0) | held
    assert {(each.wanted, each.ahead) for each in scale.models.values()} == {(0, 0)}


async def published(statuses: StatusStore) -> Figures | None:
    said = await statuses.published()
    return None if said is None else Figures.model_validate_json(said)


def ended(said: Figures) -> int:
    return sum(said.ends.model_dump().values())


def lag(said: Figures) -> int:
    return sum(each.lag.get("monitor", 0) for each in said.topics)
