"""The offset window, tortured: no interleaving of reads, ends and restarts commits past what is not finished."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.runtime.engine import offset_ranges
from services.runtime.engine.commit_rule import Committed, Window


class Partition(RuleBasedStateMachine):
    """A log with gaps, a broker that keeps commits, and workers that die, restart and take over."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[int] = []
        self.end = 0
        self.broker: Committed | None = None
        self.on_the_way: Committed | None = None
        self.done: set[int] = set()
        """Finished at any time, by anyone."""
        self.committed: set[int] = set()
        """Of those, what a commit has ever said."""
        self.restart()

    def restart(self) -> None:
        """Another owner, or ourselves again: all that is known is what the broker keeps."""
        self.window = Window(self.broker)
        self.position = self.broker.offset if self.broker else 0
        self.restored = offset_ranges.decode(self.broker.offset, self.broker.metadata) if self.broker else frozenset()
        self.under_way: set[int] = set()
        self.read: set[int] = set()
        self.on_the_way = None

    @rule(gap=st.integers(0, 3), count=st.integers(1, 20))
    def write(self, gap: int, count: int) -> None:
        self.log.extend(range(self.end + gap, self.end + gap + count))
        self.end += gap + count

    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        if self.log:
            lost = data.draw(st.sets(st.sampled_from(self.log), max_size=5))
            self.log = [offset for offset in self.log if offset not in lost]

    @rule(count=st.integers(1, 10))
    def deliver(self, count: int) -> None:
        for offset in [offset for offset in self.log if offset >= self.position][:count]:
            self.position = offset + 1
            self.read.add(offset)
            fresh = self.window.read(offset)
            assert fresh == (offset not in self.committed), "what a commit once said is finished is not processed again"
            if fresh:
                self.under_way.add(offset)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(sorted(self.under_way)))
        for offset in order[: data.draw(st.integers(1, len(order)))]:
            self.under_way.discard(offset)
            self.window.finish(offset)
            self.done.add(offset)

    @rule()
    def send_commit(self) -> None:
        self.on_the_way = self.window.due() or self.on_the_way

    @precondition(lambda self: self.on_the_way)
    @rule()
    def broker_takes_it(self) -> None:
        assert self.on_the_way is not None
        self.broker = self.on_the_way
        self.committed |= offset_ranges.decode(self.broker.offset, self.broker.metadata)
        self.committed |= {offset for offset in self.done if offset < self.broker.offset}
        self.window.sent(self.on_the_way)
        self.on_the_way = None

    @rule()
    def crash(self) -> None:
        self.restart()

    @rule()
    def commit_and_restart(self) -> None:
        self.send_commit()
        if self.on_the_way:
            self.broker_takes_it()
        self.restart()

    @rule()
    def finish_all(self) -> None:
        """When all is finished, all is committed; beside it travels at most what an earlier life finished and the log
        has lost since."""
        self.deliver(len(self.log))
        for offset in sorted(self.under_way, reverse=True):
            self.window.finish(offset)
            self.done.add(offset)
        self.under_way.clear()
        commit = self.window.due() or self.window._sent
        if self.read:
            assert commit is not None
            assert commit.offset == max(self.read) + 1, "all is finished, all is committed"
            above = offset_ranges.decode(commit.offset, commit.metadata)
            assert above == {offset for offset in self.restored if offset >= commit.offset}
        assert self.window.size == 0

    @invariant()
    def nothing_is_lost(self) -> None:
        commit = self.window.due()
        if commit is None:
            return
        assert commit.offset <= min(self.under_way, default=commit.offset)
        assert not {offset for offset in self.log if offset < commit.offset} - self.done, "committed means finished"
        above = offset_ranges.decode(commit.offset, commit.metadata)
        known = self.restored | (self.read - self.under_way)
        # What an earlier life finished and this one has not read yet may be the very next offset.
        assert above == {offset for offset in known if offset >= commit.offset}, "all that is finished travels"
        assert len(commit.metadata) <= offset_ranges.LIMIT

    @invariant()
    def the_window_counts_what_was_read(self) -> None:
        assert len(self.under_way) <= self.window.size <= len(self.read)


Partition.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPartition = Partition.TestCase


@given(committed=st.integers(0, 2**53), above=st.sets(st.integers(0, 3_000)))
def test_encode_and_decode_are_inverse(committed: int, above: set[int]) -> None:
    offsets = sorted(committed + 1 + offset for offset in above)
    assert offset_ranges.decode(committed, offset_ranges.encode(committed, offsets)) == frozenset(offsets)


@given(
    above=st.lists(st.integers(1, 2**40), unique=True, max_size=400).map(sorted),
    limit=st.integers(0, 200),
)
def test_offsets_beyond_the_limit_are_dropped_from_the_top(above: Sequence[int], limit: int) -> None:
    metadata = offset_ranges.encode(0, above, limit)
    kept = sorted(offset_ranges.decode(0, metadata))
    assert len(metadata) <= max(limit, 0)
    assert kept == above[: len(kept)]


@given(metadata=st.text() | st.binary().map(lambda data: "rm1:" + data.hex()) | st.text().map("rm1:".__add__))
def test_foreign_metadata_says_nothing_harmful(metadata: str) -> None:
    assert all(offset >= 7 for offset in offset_ranges.decode(7, metadata))
    due = Window(Committed(7, metadata)).due()
    assert due is None or due.offset == 7


@pytest.mark.parametrize(
    "metadata", ["", "x", "rm2:AAE", "rm1:", "rm1:!!", "rm1:AA", "rm1:gICAgICAgICAgAEB", "rm1:AP___w8"]
)
def test_garbage_is_no_finished_offset(metadata: str) -> None:
    assert offset_ranges.decode(0, metadata) == frozenset()


def test_a_whole_window_always_fits() -> None:
    every_other = range(1, 1_024, 2)
    metadata = offset_ranges.encode(0, every_other)
    assert offset_ranges.decode(0, metadata) == frozenset(every_other)
    assert len(metadata) < 1_400


def test_offsets_finished_by_an_earlier_process_are_kept_until_read() -> None:
    window = Window(Committed(0, offset_ranges.encode(0, [1])))
    assert window.read(0)
    window.finish(0)
    assert window.due() == Committed(1, offset_ranges.encode(1, [1]))
    assert not Window(window.due()).read(1)
    assert not window.read(1)
    assert window.due() == Committed(2)


def test_a_partition_that_was_never_committed() -> None:
    window = Window(None)
    assert window.due() is None
    window.read(57)  # the first that retention has left
    window.read(58)
    window.finish(58)
    commit = window.due()
    assert commit is not None
    assert commit.offset == 57
    assert Window(commit).read(57)
    window.finish(57)
    assert window.due() == Committed(59)


def test_offsets_finished_two_restarts_ago_are_kept() -> None:
    first = Window(None)
    for offset in range(6):
        first.read(offset)
    first.finish(1)
    first.finish(5)
    commit = first.due()
    assert commit is not None
    second = Window(commit)
    assert second.read(0)
    assert not second.read(1)
    assert second.read(2)
    second.finish(2)
    commit = second.due()
    assert commit is not None
    third = Window(commit)
    assert [offset for offset in range(6) if third.read(offset)] == [0, 3, 4]


def test_a_sent_commit_is_not_due_again() -> None:
    window = Window(Committed(3))
    assert window.due() is None
    window.read(3)
    assert window.due() is None
    window.finish(3)
    commit = window.due()
    assert commit == Committed(4)
    window.sent(commit)
    assert window.due() is None


def test_mistakes_are_refused() -> None:
    window = Window(Committed(5))
    assert window.goes_back(4)
    for mistake in (lambda: window.read(4), lambda: window.finish(5)):
        with pytest.raises(ValueError, match="offset"):
            mistake()


def test_finished_offsets_keep_nothing() -> None:
    window = Window(Committed(0))
    for offset in range(100_000):
        window.read(offset)
        window.finish(offset)
    assert window.size == 0
    assert window._finished == set()
