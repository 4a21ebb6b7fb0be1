"""Each analysis on a small made-up stream, of which the answer is known."""

from typing import Any

import pytest

from services.contracts.case import Path, Verdict
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, PATHS_VERIFIED, RECORD_COMPLETED
from services.taps.analyses import NAMES, about, sql
from tests.examples import RECORD
from tests.strategies import QUESTION, case, correct, failed, path, recipe, wrong
from tests.unit.taps.streams import Said, ask, call, of, with_paths

OTHER = QUESTION.with_(question="Which vitamin is missing in rickets?", answer="D", id="q:2", source="made up")
FIRST, SECOND = case(), case(OTHER)


def analysed(name: str, *said: Said) -> list[dict[str, Any]]:
    return ask([of(recipe()), *said], sql(name))


def overruled(made: Path, stated: str) -> Path:
    """The judge called it correct; it states another answer than gold."""
    verdict = Verdict(outcome="error", reason="", by="stated_answer", judged="correct", stated=stated)
    return made.with_(verdict=verdict)


def cut_off(made: Path) -> Path:
    return made.with_(verdict=Verdict(outcome="error", reason="", by="cut_off"), finish_reason="length")


def test_verdicts_by_model_and_temperature() -> None:
    paths = [
        correct(path(FIRST, 0), 5),
        correct(path(FIRST, 1), 2),
        wrong(path(FIRST, 2)),
        failed(path(FIRST, 3)),
        cut_off(path(FIRST, 4, temperature=1.0)),
        overruled(path(FIRST, 5, temperature=1.0), "A"),
        correct(path(FIRST, 6, alias="two"), None),
        correct(path(FIRST, 0, origin="refined", round=1), 5),
    ]
    rows = analysed("verdicts", (PATHS_VERIFIED, with_paths(FIRST, *paths)))
    shown = [{name: value for name, value in row.items() if value not in (0, None)} for row in rows]
    assert shown == [
        {"model": "org/one", "temperature": 0.7, "paths": 4, "right": 0.667, "mean_score": 3.5,
         "correct": 2, "judge": 1, "unknown": 1},
        {"model": "org/one", "temperature": 1.0, "paths": 2, "stated": 1, "cut_off": 1},
        {"model": "org/two", "temperature": 0.7, "paths": 1, "right": 1.0, "correct": 1},
    ]  # fmt: skip
    assert rows[1]["right"] == 0, "none right of two is known, not unknown"


def test_a_model_of_an_unknown_recipe_goes_by_its_alias() -> None:
    (row,) = ask([(PATHS_VERIFIED, with_paths(FIRST, failed(path(FIRST, 0))))], sql("verdicts"))
    assert (row["model"], row["right"], row["mean_score"]) == ("one", None, None)


def test_cost_by_difficulty() -> None:
    """A call of `one` costs 0.40, of `strong` 3.00. The second path shares its judging with the first."""
    easy = [
        correct(path(FIRST, 0)).with_(calls=(call(1, "generate"), call(2, "verify"))),
        correct(path(FIRST, 1)).with_(calls=(call(3, "generate"), call(2, "verify"))),
    ]
    given_up = wrong(path(SECOND, 0, origin="regenerated", round=1)).with_(calls=(call(4, "reason", "strong"),))
    under_way = case(QUESTION.with_(question="Another?"))
    record = RECORD.with_(
        work_id=FIRST.work_id, case_id=FIRST.case_id, recipe_id=FIRST.recipe_id, calls=(call(5, "summarize"),)
    )
    kept = tuple(each.path_id for each in easy)
    rows = analysed(
        "cost",
        (CASE_ACCEPTED, with_paths(FIRST, *easy, difficulty="easy", kept=kept)),
        (RECORD_COMPLETED, record),
        (CASE_REJECTED, with_paths(SECOND, given_up, difficulty="difficult", rejected="why")),
        (PATHS_VERIFIED, with_paths(under_way, path(under_way, 0).with_(calls=(call(6, "generate"),)))),
    )
    names = ("difficulty", "cases", "records", "calls_per_case", "usd", "usd_per_case", "usd_per_record")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("easy", 1, 2, 4.0, 1.6, 1.6, 0.8),
        ("difficult", 1, 0, 1.0, 3.0, 3.0, None),
        ("all", 2, 2, 2.5, 4.6, 2.3, 2.3),
    ]
    stages = ("generate", "judge", "refine", "summarize")
    assert [tuple(row[name] for name in stages) for row in rows] == [
        (0.8, 0.4, 0.0, 0.4),
        (0.0, 0.0, 3.0, 0.0),
        (0.8, 0.4, 3.0, 0.4),
    ]
    assert [row["prompt_tokens"] for row in rows] == [4_000_000, 1_000_000, 5_000_000]


def test_the_refinement_analysis() -> None:
    parents = [correct(path(FIRST, slot), score) for slot, score in enumerate((3, 3, 2, 2))]

    def rewritten(slot: int) -> Path:
        return path(FIRST, slot, origin="refined", round=1, parents=(parents[slot].path_id,))

    paths = [
        correct(rewritten(0), 5),
        correct(rewritten(1), 3),
        correct(rewritten(2), 1),
        wrong(rewritten(3)),
    ]
    again = [path(SECOND, 0, origin="regenerated", round=number, parents=(parents[0].path_id,)) for number in (1, 2)]
    rows = analysed(
        "refinement",
        (CASE_ACCEPTED, with_paths(FIRST, *parents, *paths, rounds=1, kept=(paths[0].path_id, parents[1].path_id))),
        (CASE_ACCEPTED, with_paths(SECOND, wrong(again[0]), correct(again[1]), rounds=2, kept=(again[1].path_id,))),
    )
    names = (
        "origin",
        "round",
        "cases",
        "repaired",
        "correct",
        "error",
        "kept",
        "better",
        "as_good",
        "worse",
        "mean_gain",
    )
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("refined", 1, 1, 1, 3, 1, 1, 1, 1, 1, 0.33),
        ("regenerated", 1, 1, 0, 0, 1, 0, 0, 0, 0, None),
        ("regenerated", 2, 1, 1, 1, 0, 1, 0, 0, 0, None),
    ]


def test_agreement_of_judge_and_stated_answer() -> None:
    """Of ten: 4 and 3 agree, 2 lenient, 1 strict. By chance 0.6 * 0.5 + 0.4 * 0.5 = 0.5, so kappa is 0.2 / 0.5."""
    gold = QUESTION.answer
    paths = [
        *(correct(path(FIRST, slot), stated=gold) for slot in range(4)),
        *(wrong(path(FIRST, slot), stated="A") for slot in range(4, 7)),
        *(overruled(path(FIRST, slot), "A") for slot in (7, 8)),
        wrong(path(FIRST, 9), stated=gold),
        correct(path(FIRST, 10), stated=None),
        cut_off(path(FIRST, 11)),
        correct(path(FIRST, 12, alias="two"), stated=gold),
    ]
    rows = analysed("agreement", (PATHS_VERIFIED, with_paths(FIRST, *paths)))
    assert [tuple(row.values()) for row in rows] == [
        ("org/one", 10, 4, 3, 2, 1, 0.7, 0.4, 1),
        ("org/two", 1, 1, 0, 0, 0, 1.0, None, 0),
        ("all", 11, 5, 3, 2, 1, 0.727, pytest.approx(0.441, abs=1e-3), 1),
    ]


def test_disputed_questions() -> None:
    voices = [
        overruled(path(SECOND, 0, alias="one"), "A"),
        wrong(path(SECOND, 1, alias="two"), "A"),
        wrong(path(SECOND, 2, alias="two"), "A"),
        wrong(path(SECOND, 3, alias="three"), None),
        correct(path(SECOND, 0, alias="strong", origin="regenerated", round=1), stated="D"),
    ]
    rows = analysed(
        "disputed",
        (PATHS_VERIFIED, with_paths(FIRST, wrong(path(FIRST, 0), "A"), correct(path(FIRST, 1)))),
        (CASE_ACCEPTED, with_paths(SECOND, *voices, rounds=1, difficulty="difficult", gold_disputed=True)),
    )
    assert rows == [
        {
            "case_id": SECOND.case_id,
            "source": "made up",
            "source_question_id": "q:2",
            "subject": None,
            "question": "Which vitamin is missing in rickets?",
            "gold": "D: Vitamin D",
            "models_say": "A: Vitamin A",
            "paths": 3,
            "models": 2,
            "judged_correct": 1,
            "ended": "accepted",
        }
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_analysis_answers_of_nothing(name: str) -> None:
    """A stream with no messages is no error."""
    rows = ask([], sql(name))
    assert all(not row.get("paths") and not row.get("cases") for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_says_in_a_line_what_it_answers_then_how_to_read_it(name: str) -> None:
    headline, blank, *how = about(name).splitlines()
    assert headline.split(":")[0].lower().split()[0] in (name, "what")
    assert (blank, bool(how)) == ("", True)
