"""Splits go by question, hold their shares, and stay as they are."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.case import ids
from services.datasets.splits import BadSplit, Splits

NAMES = ("train", "validation", "test", "probe")


@st.composite
def splits(draw: st.DrawFn) -> Splits:
    """One to four splits, their shares in hundredths."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=3)))
    shares = [upper - lower for lower, upper in zip([0, *cuts], [*cuts, 100], strict=True)]
    text = ",".join(f"{name}={'1' if s == 100 else f'0.{s:02}'}" for name, s in zip(NAMES, shares, strict=False))
    return Splits.parse(text, draw(st.text(max_size=8).filter(lambda seed: "\0" not in seed)))


Assigned = Callable[[Splits, list[str]], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def assigned() -> Iterator[Assigned]:
    """The split of each case, in the order of the cases."""
    with duckdb.connect() as connection:

        def run(of: Splits, cases: list[str]) -> list[tuple[str, str]]:
            query = f"SELECT case_id, {of.sql} FROM (SELECT unnest($cases::VARCHAR[]) AS case_id)"
            return connection.execute(query, {"cases": cases, "seed": of.seed}).fetchall()

        yield run


@settings(deadline=None, max_examples=30)
@given(of=splits(), salt=st.integers(0, 2**32))
def test_a_question_is_in_one_split_whatever_else_there_is(assigned: Assigned, of: Splits, salt: int) -> None:
    cases = [ids.digest("case", salt, number) for number in range(60)]
    alone = {case: name for case in cases[:5] for _, name in assigned(of, [case])}
    among = assigned(of, [*cases, *reversed(cases)])
    assert len({case for case, _ in among}) == len(set(among)) == 60
    assert alone == {case: name for case, name in among if case in alone}


@settings(deadline=None, max_examples=30)
@given(of=splits())
def test_shares_hold(assigned: Assigned, of: Splits) -> None:
    """Within seven standard deviations of a binomial: by chance once in 10**11."""
    total = 4_000
    found = [name for _, name in assigned(of, [ids.digest("case", n) for n in range(total)])]
    assert set(found) <= set(of.names)
    for name, share in of.shares:
        expected = total * float(share)
        assert abs(found.count(name) - expected) <= 7 * (expected * (1 - float(share))) ** 0.5


def test_another_seed_draws_other_questions_and_the_same_seed_the_same(assigned: Assigned) -> None:
    cases = [ids.digest("case", n) for n in range(500)]
    one, same, other = (assigned(Splits.parse("train=0.5,test=0.5", seed), cases) for seed in "112")
    assert sorted(one) == sorted(same) != sorted(other)


def test_a_split_stays_as_it_was_published(assigned: Assigned) -> None:
    """These come from sha256sum over '0:case-…': a change of the rule would move published questions."""
    of = Splits.parse("train=0.5,test=0.5", "0")
    assert dict(assigned(of, ["case-a", "case-b", "case-c", "case-d"])) == EXPECTED


EXPECTED = {"case-a": "test", "case-b": "train", "case-c": "train", "case-d": "train"}


def test_shares_are_exact() -> None:
    assert Splits.parse("a=0.1,b=0.2,c=0.7", "0").shares == (
        ("a", Fraction(1, 10)),
        ("b", Fraction(1, 5)),
        ("c", Fraction(7, 10)),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("train=0.9", "sum to 1, not to 0.9"),
        ("train=0.9,test=0.2", "sum to 1"),
        ("train=0.5,train=0.5", "named twice"),
        ("train=1,test=0.0", "above 0"),
        ("train=1e0", "above 0"),
        ("train=nan", "above 0"),
        ("Train=1", "small letters"),
        ("a-b=1", "small letters"),
        ("'; DROP--=1", "small letters"),
        ("train", "above 0"),
        ("", "NAME=SHARE"),
    ],
)
def test_what_is_no_split_is_refused_with_why(text: str, why: str) -> None:
    with pytest.raises(BadSplit, match=why):
        Splits.parse(text, "0")
