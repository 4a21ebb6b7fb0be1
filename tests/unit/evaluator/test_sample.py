"""The sample: the dataset's own shares, the same for the same seed, and what a larger one keeps of a smaller one."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.record import Record
from services.core.shares import shares
from services.evaluator.sample import Read, draw
from tests.unit.exporter.world import record

DIFFICULTIES = ("easy", "easy", "easy", "easy", "medium", "medium", "difficult", "easy")
RECORDS = [record(number, difficulty=DIFFICULTIES[number % 8], model=f"m{number % 3}@1") for number in range(240)]

Parts = Callable[..., Read]


def strata(records: list[Record]) -> Counter[tuple[str, str]]:
    return Counter((made.difficulty, made.model) for made in records)


@given(
    counts=st.dictionaries(st.tuples(st.text(max_size=3), st.text(max_size=3)), st.integers(1, 10**6), max_size=9),
    size=st.integers(1, 10**5),
)
def test_shares_sum_to_the_sample_and_are_those_of_the_dataset(counts: dict[tuple[str, str], int], size: int) -> None:
    given_, total = shares(counts, size), sum(counts.values())
    assert sum(given_.values()) == min(size, total)
    for stratum, count in counts.items():
        assert 0 <= given_[stratum] <= count
        assert abs(given_[stratum] - min(size, total) * count / total) < 1


def test_the_sample_has_the_datasets_shares(parts: Parts) -> None:
    drawn = draw(parts(RECORDS, 3), 24, seed=1)
    assert len({item.record_id for item in drawn}) == 24
    found = Counter((item.difficulty, item.model) for item in drawn)
    assert found == Counter({stratum: count // 10 for stratum, count in strata(RECORDS).items()})


def test_a_record_comes_out_as_it_was_written(parts: Parts) -> None:
    by_id = {made.record_id: made for made in RECORDS}
    for item in draw(parts(RECORDS), 240, seed=1):
        made = by_id[item.record_id]
        plain = made.question.with_(source=None, id=None)
        assert (item.question, item.chain, item.summary) == (plain, made.chain, made.summary)
        assert (item.case_id, item.index) == (made.case_id, made.index)


def test_the_seed_decides_and_not_how_the_parts_are_cut(parts: Parts) -> None:
    one = draw(parts(RECORDS), 24, seed=1)
    assert draw(parts(RECORDS[::-1], 5), 24, seed=1) == one
    assert draw(parts(RECORDS), 24, seed=2) != one


def test_a_larger_sample_keeps_the_smaller_one_but_for_a_record_a_stratum(parts: Parts) -> None:
    files = parts(RECORDS, 2)
    small, large = ({item.record_id for item in draw(files, size, seed=1)} for size in (25, 70))
    assert len(small - large) <= len(strata(RECORDS))
    assert len(small & large) >= 20


def test_fewer_records_than_asked_for_are_all_of_them_and_none_are_none(parts: Parts) -> None:
    assert len(draw(parts(RECORDS[:7]), 200, seed=1)) == 7
    assert draw(parts([]), 200, seed=1) == []
