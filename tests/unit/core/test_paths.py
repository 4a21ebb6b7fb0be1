"""Reading and making paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import CaseId
from services.contracts.case import FinishReason, Path, StepError, Steps, Usage
from services.contracts.recipe import Model, Sampling
from services.core.case.paths import best, from_answers, of_round, planned, rank, reasons, why_no_text, wording
from services.core.case.steps import step_ends
from services.core.ledger.calls import Answer, Failure, Reply, Request
from tests.strategies import case, correct, failed, path, unjudged, verified, wrong

CASE = case()
some_paths = st.lists(st.integers(), max_size=6).flatmap(
    lambda slots: st.tuples(*(verified(path(CASE, n)) for n in range(len(slots))))
)


@given(paths=some_paths, count=st.integers(0, 4))
def test_the_best_are_correct_of_different_texts_and_none_left_out_is_better(
    paths: tuple[Path, ...], count: int
) -> None:
    chosen = best(paths, count)
    right = [made for made in paths if made.standing == "correct"]
    assert len(chosen) == min(count, len({wording(made) for made in right}))
    assert all(made in right for made in chosen)
    assert len({wording(made) for made in chosen}) == len(chosen)
    keys = [(-rank(made), made.slot) for made in chosen]
    assert keys == sorted(keys), "best first, ties in the order given"
    for left_out in (made for made in right if made not in chosen):
        ahead = [made for made in chosen if wording(made) == wording(left_out)] or chosen
        assert all((-rank(made), made.slot) < (-rank(left_out), left_out.slot) for made in ahead)


def test_an_unscored_path_ranks_below_a_score_of_0() -> None:
    unscored, zero = correct(path(CASE, 0), None), correct(path(CASE, 1), 0)
    assert best([unscored, zero], 2) == [zero, unscored]


def test_planned_paths_and_rounds_are_separate_and_in_slot_order() -> None:
    slots = [path(CASE, 1), path(CASE, 0)]
    refined = [path(CASE, n, origin="refined", round=1) for n in (1, 0)]
    again = [path(CASE, n, origin="regenerated", round=2) for n in (1, 0)]
    whole = CASE.with_(paths=(*again, *slots, *refined))
    assert planned(whole) == slots[::-1]
    assert of_round(whole, 1) == refined[::-1]
    assert of_round(whole, 2) == again[::-1]
    assert of_round(whole, 0) == []


def test_why_a_path_could_not_be_judged_is_no_reason_against_it() -> None:
    given_reasons = reasons([path(CASE, 0), wrong(path(CASE, 1)), unjudged(path(CASE, 2)), failed(path(CASE, 3))])
    assert given_reasons == ["Wrong in slot 1."]


def test_a_verdict_of_steps_gives_each_step_in_error_as_it_was_written() -> None:
    text = "Citrus cures it. Vitamin D does too, " + "as is known " * 40 + ". So C."
    error = StepError(step=2, kind="wrong_fact", severity="serious", reason="It does not.")
    judged = wrong(path(CASE, 1, text=text))
    assert judged.verdict is not None
    steps = Steps(ends=step_ends(text), errors=(error,))
    summary, named = reasons([judged.with_(verdict=judged.verdict.with_(steps=steps))])
    assert summary == "Wrong in slot 1."
    assert named.startswith("Wrong fact (serious) in “Vitamin D does too, as is known")
    assert named.endswith(" …”: It does not.")
    assert len(named) < 400


def test_a_path_from_a_reply_and_one_from_a_failure() -> None:
    request = Request(
        case_id=CASE.case_id,
        stage="refine",
        alias="two",
        model=Model(served="org/two"),
        prompt="Write.",
        sampling=Sampling(temperature=0.8, max_tokens=10),
        seed=1,
    )
    parent = path(CASE, 4)
    usage = Usage(prompt=5, completion=3)

    def made(outcome: Reply | Failure) -> Path:
        return from_answers(CASE, [Answer(request, outcome)], origin="refined", round=1, slot=0, parents=[parent])

    written, lost = made(Reply("Text.", "length", usage, "hm")), made(Failure("refused", usage))
    assert (written.text, written.finish_reason, written.failure, written.standing) == (
        "Text.", "length", None, "unverified",
    )  # fmt: skip
    assert (lost.text, lost.finish_reason, lost.failure, lost.standing) == ("", None, "refused", "unknown")
    for each in (written, lost):
        assert each.path_id == path(CASE, 0, origin="refined", round=1).path_id
        assert each.parents == (parent.path_id,)
        assert [(call.call_id, call.stage, call.usage) for call in each.calls] == [(request.call_id, "refine", usage)]
        assert (each.alias, each.temperature) == ("two", 0.8)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply("", "stop", Usage()), "no text: the reply is empty (finish reason stop)"),
        (Reply(" \n", "length", Usage(), "hm"), "no text: all of the reply is thinking (finish reason length)"),
        (Reply("Half", "other", Usage(), problem="interrupted: abort"), "interrupted: abort"),
        (Reply("Half", "other", Usage()), "interrupted: the server ended the text"),  # of an earlier version's ledger
        (Reply("", "stop", Usage(), problem="the model refused: no"), "the model refused: no"),
    ],
)
def test_a_reply_without_a_whole_text_is_an_unknown_path_that_says_why(reply: Reply, why: str) -> None:
    request = Request(
        CaseId("case"), "generate", "one", Model(served="m"), "Write.", Sampling(temperature=1, max_tokens=9), 1
    )
    made = from_answers(CASE, [Answer(request, reply)] * 2, origin="generated", round=0, slot=0)
    assert (made.text, made.finish_reason, made.failure, made.standing) == ("", None, why, "unknown")
    assert len(made.calls) == 2, "every ask was paid for"


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_text_that_was_cut_off_is_still_a_path(finish: FinishReason) -> None:
    assert why_no_text(Reply("Text.", finish, Usage())) == ""
