"""Splits go by question, hold their shares, and stay as they are."""

from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core import ids
from services.datasets.export import export
from services.datasets.splits import BadSplit, Splits, split_key
from tests.unit.datasets.world import request, rows_of, write_parts
from tests.unit.exporter.world import record

SPLIT = ("train", "test")
NAMES = ("train", "validation", "test", "probe")


@st.composite
def splits(draw: st.DrawFn) -> Splits:
    """One to four splits, their shares in hundredths."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=3)))
    shares = [upper - lower for lower, upper in zip([0, *cuts], [*cuts, 100], strict=True)]
    text = ",".join(f"{name}={'1' if s == 100 else f'0.{s:02}'}" for name, s in zip(NAMES, shares, strict=False))
    return Splits.parse(text, draw(st.text(max_size=8).filter(lambda seed: "\0" not in seed)))


@settings(deadline=None, max_examples=30)
@given(of=splits())
def test_shares_hold(of: Splits) -> None:
    """Within seven standard deviations of a binomial: by chance once in 10**11."""
    total = 4_000
    found = [of.of(f"key {number}") for number in range(total)]
    assert set(found) <= set(of.names)
    for name, share in of.shares:
        expected = total * float(share)
        assert abs(found.count(name) - expected) <= 7 * (expected * (1 - float(share))) ** 0.5


def test_another_seed_draws_other_questions_and_the_same_seed_the_same() -> None:
    one, same, other = (
        [Splits.parse("train=0.5,test=0.5", seed).of(f"key {number}") for number in range(500)] for seed in "112"
    )
    assert one == same != other


def test_a_split_stays_as_it_was_published() -> None:
    """From sha256sum over '0:case-a' and so on: a change of the rule would move published questions."""
    of = Splits.parse("train=0.5,test=0.5", "0")
    assert [of.of(f"case-{letter}") for letter in "abcd"] == ["test", "train", "train", "train"]


def test_the_key_is_the_words_of_the_stem() -> None:
    assert split_key("Which  valve, of the heart?") == split_key("which valve of the heart")
    assert split_key("pH < 7.35") != split_key("pH > 7.35")
    assert split_key("which\u00a0<b>vitamin</b>") == split_key("Which vitamin?")


@given(of=splits(), stem=st.text(st.characters(categories=["Ll", "Nd", "Zs"]), min_size=1), seed=st.randoms())
def test_a_stem_that_looks_otherwise_is_in_the_same_split(of: Splits, stem: str, seed: Random) -> None:
    words = stem.split() or [stem]
    at = seed.randrange(len(words))
    broken = [*words[:at], f"<b>{words[at]}</b>", *words[at + 1 :]]
    for same in (f"  {'  '.join(words)} ", f"<p>{' '.join(broken)}</p>", " &nbsp;".join(words)):
        assert of.of(split_key(same)) == of.of(split_key(" ".join(words)))


def test_the_same_stem_with_its_options_in_another_order_is_exported_to_the_same_split(tmp_path: Path) -> None:
    chance = Random(3)
    made = [record(number) for number in range(60)]
    shuffled = []
    for one in made:
        letters, texts = list(one.question.options), list(one.question.options.values())
        chance.shuffle(texts)
        question = one.question.with_(options=dict(zip(letters, texts, strict=True)), answer=chance.choice(letters))
        case_id = ids.case_id(question)
        shuffled.append(one.with_(question=question, case_id=case_id, record_id=one.record_id[:-4] + "ffff"))
    assert any(one.case_id != other.case_id for one, other in zip(made, shuffled, strict=True))
    write_parts(tmp_path / "parts", [made, shuffled])
    export(request(splits=Splits.parse("train=0.5,test=0.5", "0")), tmp_path / "parts", tmp_path / "out")
    stems = [
        {row["messages"][0]["content"].split("\n")[0] for row in rows_of(tmp_path / "out", name)} for name in SPLIT
    ]
    assert stems[0].isdisjoint(stems[1])
    assert sum(map(len, stems)) == len(made)


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
def test_invalid_splits_are_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(BadSplit, match=why):
        Splits.parse(text, "0")
