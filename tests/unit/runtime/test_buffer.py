"""Whatever Faust repeats or skips, a buffer's records are taken in order, each once, none behind a gap."""

from hypothesis import given
from hypothesis import strategies as st

from services.core.messages import ConsumedRecord
from services.runtime.faust.buffer import Buffer


def record(offset: int) -> ConsumedRecord:
    return ConsumedRecord("in", 0, offset, b"k", b"v", {})


def offsets(records: list[ConsumedRecord]) -> list[int]:
    return [record.offset for record in records]


def test_nothing_is_taken_before_the_commit_is_known() -> None:
    buffer = Buffer()
    for offset in (3, 4, 5):
        buffer.deliver(record(offset))
    assert buffer.take(9) == []
    assert buffer.gap() is None
    buffer.begin(4)
    assert offsets(buffer.take(9)) == [4, 5]


def test_nothing_behind_a_gap_is_taken_before_it_is_filled() -> None:
    buffer = Buffer()
    buffer.begin(5)
    buffer.deliver(record(5))
    buffer.deliver(record(8))
    assert offsets(buffer.take(9)) == [5]
    assert buffer.gap() == range(6, 8)
    assert buffer.take(9) == []
    buffer.fill(range(6, 8), [record(6)])
    assert offsets(buffer.take(9)) == [6]
    assert buffer.gap() == range(7, 8)
    buffer.fill(range(7, 8), [])
    assert offsets(buffer.take(9)) == [8]


@given(
    present=st.sets(st.integers(0, 40), min_size=1),
    deliveries=st.lists(st.integers(0, 40), max_size=120),
    begin=st.integers(0, 20),
    size=st.integers(1, 5),
)
def test_every_record_is_taken_once_in_order(present: set[int], deliveries: list[int], begin: int, size: int) -> None:
    """Faust delivers any of the offsets, in any order, some of them again and again."""
    buffer, taken = Buffer(), []
    buffer.begin(begin)

    def drain(most: int) -> None:
        for _ in range(most):
            if (gap := buffer.gap()) is not None:  # some of it at a time, as it is read from Kafka
                buffer.fill(gap, [record(each) for each in sorted(present) if each in gap][:size])
            taken.extend(offsets(buffer.take(2)))

    for offset in deliveries:
        if offset in present:
            buffer.deliver(record(offset))
        drain(1)
    drain(100)
    delivered = [offset for offset in deliveries if offset in present and offset >= begin]
    assert taken == [offset for offset in sorted(present) if begin <= offset <= max(delivered, default=-1)]
