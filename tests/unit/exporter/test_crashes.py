"""Killed at any step, with or without the power: after a restart each record is there once, none is lost."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.messages import ConsumedRecord
from services.exporter.dataset import manifests, read_dataset
from services.exporter.disk import Disk
from services.exporter.partition import Limits, Partition
from tests.unit.exporter.world import TOPIC, Crash, CrashingDisk, PowerCutDisk, message, record, record_ids

LIMITS = Limits(rows=3)
STEPS = ["write", "rename", "sync_folder"] * 2
"""Of one sealing: the part, then the manifest."""


def life(folder: Path, topic: list[ConsumedRecord], disk: Disk) -> None:
    """One life of an exporter: reads on from the manifest, part after part, to the end of the topic."""
    partition = Partition.open(folder, TOPIC, 0, disk=disk, limits=LIMITS)
    assert partition is not None
    try:
        for each in topic[partition.next_offset :]:
            partition.accept(each, 0)
            if partition.due(0):
                partition.seal()
        partition.seal()
    finally:
        partition.release()  # as the kernel does


TOPIC_HELD = [message(offset, record(number)) for offset, number in enumerate([0, 1, 2, 1, 3, 4, 0, 5, 6])]
"""Seven records, two of them twice; three parts."""


def assert_exact(folder: Path, topic: list[ConsumedRecord] = TOPIC_HELD) -> None:
    expected = list(dict.fromkeys(record_id(each) for each in topic))
    assert record_ids(folder) == expected
    (manifest,) = manifests(folder)
    assert manifest.next_offset == len(topic)
    assert manifest.dropped.equal == len(topic) - len(expected)
    names = {path.name for path in folder.glob("part-*")}
    assert names == {part.name for part in manifest.parts}, "nothing is left that no manifest names"


def record_id(received: ConsumedRecord) -> str:
    assert received.value is not None
    return str(next(r for n in range(100) if (r := record(n)).case_id.encode() == received.key).record_id)


def assert_prefix(folder: Path) -> None:
    """What readers see between a kill and the restart: a beginning of the dataset, no more and no less."""
    found = record_ids(folder)
    assert found == [record(number).record_id for number in range(7)][: len(found)]
    for manifest in manifests(folder):
        assert sum(part.rows for part in manifest.parts) == len(found)


def test_the_steps_of_a_life(tmp_path: Path) -> None:
    disk = CrashingDisk(1_000)
    life(tmp_path, TOPIC_HELD, disk)
    assert disk.steps == STEPS * 3
    assert_exact(tmp_path)


@pytest.mark.parametrize("at", range(18))
def test_killed_at_each_step(tmp_path: Path, at: int) -> None:
    with pytest.raises(Crash):
        life(tmp_path, TOPIC_HELD, CrashingDisk(at))
    assert_prefix(tmp_path)
    life(tmp_path, TOPIC_HELD, Disk())
    assert_exact(tmp_path)


@pytest.mark.parametrize("at", range(18))
def test_killed_at_each_step_with_the_power(tmp_path: Path, at: int) -> None:
    folder, disk = tmp_path / "dataset", PowerCutDisk(at, tmp_path / "aside")
    with pytest.raises(Crash):
        life(folder, TOPIC_HELD, disk)
    disk.cut()
    assert_prefix(folder)
    life(folder, TOPIC_HELD, Disk())
    assert_exact(folder)


@pytest.mark.parametrize("at", range(18))
@pytest.mark.parametrize("again", range(8))
def test_killed_again_while_it_recovers(tmp_path: Path, at: int, again: int) -> None:
    with pytest.raises(Crash):
        life(tmp_path, TOPIC_HELD, CrashingDisk(at))
    second = CrashingDisk(again)
    try:
        life(tmp_path, TOPIC_HELD, second)
    except Crash:
        assert_prefix(tmp_path)
    life(tmp_path, TOPIC_HELD, Disk())
    assert_exact(tmp_path)


@pytest.mark.parametrize("at", range(18))
def test_a_disk_that_is_full_at_each_step(tmp_path: Path, at: int) -> None:
    full = CrashingDisk(at, how=lambda: OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        life(tmp_path, TOPIC_HELD, full)
    assert_prefix(tmp_path)
    life(tmp_path, TOPIC_HELD, Disk())
    assert_exact(tmp_path)


@settings(max_examples=60)
@given(
    numbers=st.lists(st.integers(0, 9), min_size=1, max_size=25),
    kills=st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 25)), max_size=6),
)
def test_any_topic_and_any_kills(numbers: list[int], kills: list[tuple[int, bool, int]]) -> None:
    """Each life sees as much of the topic as there is by then, and is killed at some step; the power may go too."""
    topic = [message(offset, record(number)) for offset, number in enumerate(numbers)]
    with TemporaryDirectory() as name:
        folder = Path(name) / "dataset"
        for index, (at, power, visible) in enumerate(kills):
            disk = PowerCutDisk(at, Path(name) / f"aside-{index}") if power else CrashingDisk(at)
            try:
                life(folder, topic[:visible], disk)
            except Crash:
                if isinstance(disk, PowerCutDisk):
                    disk.cut()
        life(folder, topic, Disk())
        assert_exact(folder, topic)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_any_hand_over_between_two_exporters(seed: int) -> None:
    """Two exporters over one partition, which moves between them at any moment, parts open or not; one of them may not
    know that it lost it. Whoever has the lock writes; nobody else can."""
    chance = random.Random(seed)
    topic = [message(offset, record(chance.randrange(12))) for offset in range(20)]
    with TemporaryDirectory() as name:
        folder, holder = Path(name), None
        for _ in range(40):
            if holder is None:
                holder = Partition.open(folder, TOPIC, 0, limits=LIMITS)
                assert holder is not None
            assert Partition.open(folder, TOPIC, 0, limits=LIMITS) is None
            match chance.randrange(6):
                case 0:
                    holder.release()
                    holder = None
                case 1:
                    holder.seal()
                case _ if holder.next_offset < len(topic):
                    # Kafka may deliver again what was taken, never skip.
                    holder.accept(topic[chance.randint(max(0, holder.next_offset - 2), holder.next_offset)], 0)
                case _:
                    pass
        if holder is not None:
            holder.release()
        life(folder, topic, Disk())
        assert_exact(folder, topic)
        assert read_dataset(folder)["kafka_offset"].to_pylist() == sorted(
            read_dataset(folder)["kafka_offset"].to_pylist()
        )
