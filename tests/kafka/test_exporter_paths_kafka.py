"""The table of paths on Apache Kafka: exporters that are killed and that join, cases in three topics, thinking in a
ledger. Whatever happened, each path of each case is there once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from services.contracts.case import Case, Usage
from services.contracts.codec import encode
from services.contracts.question import Question
from services.core.ledger.calls import Reply
from services.core.messages import OutgoingRecord
from services.datasets.dataset import Dataset
from services.exporter.layout import PATHS
from services.ledger.open import open_ledger
from services.local.processes.process import Process
from services.local.servers.kafka import KafkaCluster
from tests.kafka.exporting import Stand, ended_or_logged, logged, records, until
from tests.strategies import case, correct, path, wrong
from tests.unit.taps.streams import call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

CASES = 300


@pytest_asyncio.fixture(loop_scope="module")
async def stand(kafka: KafkaCluster, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        made = Stand(kafka, tmp_path, stack)
        await made.declare(*PATHS.topics)
        yield made


def ended(number: int) -> Case:
    """A case with a right and a wrong path, of which the ledger has the thinking of the first."""
    new = case(Question(question=f"Question {number}?", options={"A": "this", "B": "that", "C": "none"}, answer="C"))
    right = correct(path(new, 0).with_(calls=(call(2 * number, "generate"),)))
    return new.with_(paths=(right, wrong(path(new, 1).with_(calls=(call(2 * number + 1, "generate"),)))))


async def keep_thinking(url: str, cases: list[Case]) -> None:
    async with open_ledger(url) as ledger:
        for each in cases:
            name = each.paths[0].calls[0].call_id
            reply = Reply("text", "stop", Usage(), f"thinking of {each.case_id}")
            await ledger.calls.complete({name: reply}, owner="test")


async def test_killed_at_any_moment_each_path_is_there_once_with_its_thinking(stand: Stand) -> None:
    chance = random.Random(12)
    cases = [ended(number) for number in range(CASES)]
    await keep_thinking(stand.ledger, cases)
    where = {each.work_id: chance.choice(PATHS.topics) for each in cases}
    repeated = chance.sample(cases, 30)
    sent = [*cases, *repeated]
    await stand.publish([OutgoingRecord(where[each.work_id], each.case_id.encode(), encode(each), {}) for each in sent])
    await stand.write(records(40))

    for _ in range(6):
        exporter = await stand.exporter("--once", paths=True)
        parts = chance.randint(0, 5)
        event = "committed" if parts else "writing"
        await until(partial(ended_or_logged, exporter, event, parts), every_s=0.002)
        await asyncio.sleep(chance.uniform(0, 0.02))  # anywhere between two steps of a part
        assert await exporter.kill() == -9, exporter.log_tail()
    last = await stand.exporter("--once", paths=True)
    assert await last.wait() == 0, last.log_tail()

    rows = Dataset.open(stand.folder, PATHS).table().to_pylist()
    found = sorted((row["kafka_topic"], row["path_id"], row["standing"], row["thinking"]) for row in rows)
    expected = [
        (where[each.work_id], made.path_id, made.standing, f"thinking of {each.case_id}" if made.slot == 0 else None)
        for each in cases
        for made in each.paths
    ]
    assert found == sorted(expected)
    assert sum(Dataset.open(stand.folder, PATHS).positions().values()) == len(sent)
    await stand.assert_exact()


async def test_exporters_share_the_topics_of_cases_in_a_group_of_their_own(stand: Stand) -> None:
    """On the broker of the test before, whose cases are all exported again."""
    one, two = await stand.exporter(paths=True), await stand.exporter(paths=True)
    await until(lambda: all(_writes_cases(each) for each in (one, two)))
    await one.kill()
    total = sum([len(await stand.messages(topic)) for topic in PATHS.topics])
    await until(lambda: sum(Dataset.open(stand.folder, PATHS).positions().values()) == total)
    await stand.until_exported()
    assert await two.terminate() == 0, two.log_tail()
    rows = Dataset.open(stand.folder, PATHS).table()["path_id"].to_pylist()
    assert len(rows) == len(set(rows)) == 2 * CASES
    await stand.assert_exact()


def _writes_cases(exporter: Process) -> bool:
    return any(line["topic"] in PATHS.topics for line in logged(exporter, "writing"))
