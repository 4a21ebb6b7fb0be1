"""Whether the exporter moves and reaches Kafka: readiness, lag, and when the process must end."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from services.exporter.metrics import Metrics
from services.exporter.watch import STILL_S
from services.runtime.engine.stall import Stalled
from tests.unit.exporter.fakes import FakeKafka, Running
from tests.unit.exporter.world import record


async def test_ready_means_partitions_in_hand_and_an_answer(tmp_path: Path) -> None:
    kafka = FakeKafka()
    running = Running(kafka, tmp_path)
    assert not running.watch.health().ready

    await running.holding.follow()
    await running.watch.look()
    assert running.watch.health().ready

    kafka.away = True
    await running.watch.look()
    health = running.watch.health()
    assert (health.live, health.ready, health.why) == (True, False, ["Kafka does not answer"])
    running.holding.release()


async def test_lag_without_a_step_ends_the_process(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    running = Running(kafka, tmp_path)
    await running.holding.follow()
    await running.watch.look()
    assert running.figure("lag_offsets", partition="0") == 1
    kafka.now += STILL_S
    with pytest.raises(Stalled, match="none was read"):
        await running.watch.look()
    running.holding.release()


async def test_the_lag_of_a_lost_partition_is_no_longer_exported(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.write(record(0))
    running = Running(kafka, tmp_path)
    await running.holding.follow()
    await running.watch.look()
    series = 'reasonmed_exporter_lag_offsets{partition="0",table="records",topic="record-completed"} 1.0'
    assert series in generate_latest(running.metrics.registry).decode()
    running.holding.release()
    await running.watch.look()
    assert "reasonmed_exporter_lag_offsets{" not in generate_latest(running.metrics.registry).decode()


async def test_a_client_that_alone_gets_no_answer_ends_the_process(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.away = True
    running = Running(kafka, tmp_path)
    await running.watch.look()
    kafka.now += STILL_S
    with pytest.raises(Stalled, match="can be reached"):
        await running.watch.look()


def test_the_disk_is_looked_at_even_before_the_folder_is_there(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch_disk(tmp_path / "not" / "yet")
    assert (metrics.registry.get_sample_value("reasonmed_exporter_disk_free_bytes") or 0) > 0
