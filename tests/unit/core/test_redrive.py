"""What a redrive sends: the next life, from where it stopped, and the same bytes each time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case
from services.contracts.codec import Malformed, decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadKind, DeadLetter
from services.contracts.question import Submission
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.case.paths import of_round, planned
from services.core.case.requests import planned_request
from services.core.errors import Dead
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.deadletters.redrive import Letter, NotRedrivable, read_letter, redrive
from services.protogen import examples
from services.router.routing_table import route
from tests import strategies
from tests.letters import letter, of
from tests.strategies import QUESTION, case, json_values, path, recipe, routings, unjudged

CASE_TOPICS = (QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED, CASE_MEDIUM, CASE_DIFFICULT, CASE_ACCEPTED)
KINDS: tuple[DeadKind, ...] = ("not_yet", "too_many_unknown", "no_summary", "killer", "defect")
OURS: tuple[DeadKind, ...] = ("not_yet", "killer", "defect")
"""Kinds of which no model is the cause."""
first_verified = strategies.first_verified()


def asked(of_case: Case) -> str:
    return planned_request(of_case, recipe(), 0).call_id


def sent(dead: Letter) -> tuple[str, Case]:
    message = redrive(dead).message
    return message.topic, decode(Case, message.value)


@st.composite
def refined(draw: st.DrawFn) -> Case:
    """A case that comes back from a refining round, of either lane."""
    made = draw(first_verified)
    lane = draw(st.sampled_from(["medium", "difficult"]))
    origin: Any = "refined" if lane == "medium" else "regenerated"
    rounds = 1 if lane == "medium" else draw(st.integers(1, 2))
    parents = (made.paths[0].path_id,) if lane == "medium" else ()
    paths = [
        draw(strategies.verified(path(made, slot, origin=origin, round=round, parents=parents)))
        for round in range(1, rounds + 1)
        for slot in range(draw(st.integers(1, 3)))
    ]
    return made.with_(paths=(*made.paths, *paths), difficulty=lane, rounds=rounds)


cases = first_verified | refined()


@given(dead=cases, topic=st.sampled_from(CASE_TOPICS), kind=st.sampled_from(KINDS), life=st.integers(0, 5))
def test_a_case_begins_its_next_life_and_loses_nothing_that_is_known(
    dead: Case, topic: str, kind: DeadKind, life: int
) -> None:
    dead = dead.with_(life=life)
    redriven = redrive(of(dead, topic, kind=kind))
    again = decode(Case, redriven.message.value)
    assert again.life == redriven.begins.number == life + 1
    assert redriven.message.key == dead.case_id.encode()
    assert redriven.message.headers == {"trace": b"1"}
    assert redriven.begins.what == dead.work_id
    before = {made.path_id: made for made in dead.paths}
    there = {made.path_id: made for made in again.paths}
    assert set(there) <= set(before)
    assert all(before[gone].failure is not None for gone in set(before) - set(there)), "only what has no text goes"
    for path_id, made in there.items():
        judged_again = before[path_id].with_(verdict=None, score=None)
        assert made in (before[path_id], judged_again)
        assert made == before[path_id] or before[path_id].standing == "unknown"
    besides = {"paths": (), "life": 0, "rounds": 0, "call_life": None}
    assert again.with_(**besides) == dead.with_(**besides)


@given(dead=cases, topic=st.sampled_from(CASE_TOPICS), kind=st.sampled_from(OURS), lives=st.integers(0, 3))
def test_letters_without_a_failed_reply_ask_nothing_again(dead: Case, topic: str, kind: DeadKind, lives: int) -> None:
    """Not even of a case that has died so before: its calls are those of the first of these lives."""
    dead = dead.with_(life=1)
    again = dead
    for _ in range(lives + 1):
        to, again = sent(of(again, topic, kind=kind))
        assert to == topic
        assert again == dead.with_(life=again.life, call_life=1)
    assert asked(again) == asked(dead)
    assert again.life == lives + 2


@pytest.mark.parametrize("kind", ["too_many_unknown", "no_summary"])
def test_failed_replies_are_asked_for_under_new_ids(kind: DeadKind) -> None:
    dead = case(life=2).with_(call_life=1)
    again = sent(of(dead, CASE_ACCEPTED if kind == "no_summary" else PATHS_VERIFIED, kind=kind))[1]
    assert (again.life, again.call_life, again.asks_in) == (3, None, 3)
    assert asked(again) not in (asked(dead), asked(case()), asked(case(life=2)))


def test_a_case_without_a_life_for_its_calls_is_written_as_before() -> None:
    assert b"call_life" not in encode(case(life=3))


@given(dead=first_verified, topic=st.sampled_from([PATHS_GENERATED, PATHS_VERIFIED]))
def test_only_paths_without_a_text_are_generated_again_before_the_route_is_known(dead: Case, topic: str) -> None:
    unknown = [made for made in dead.paths if made.standing == "unknown"]
    failed_ones = [made for made in unknown if made.failure is not None]
    to, again = sent(of(dead, topic, kind="too_many_unknown"))
    assert to == (QUESTION_ADMITTED if failed_ones else PATHS_GENERATED if unknown else topic)
    assert [made.standing for made in again.paths if made.standing == "unknown"] == []
    assert len(again.paths) == 9 - len(failed_ones)


def test_after_a_broken_judge_every_text_is_kept_and_judged_again() -> None:
    dead = case().with_(paths=tuple(unjudged(path(case(), slot)) for slot in range(9)))
    to, again = sent(of(dead, kind="too_many_unknown"))
    assert to == PATHS_GENERATED
    assert [made.text for made in again.paths] == [made.text for made in dead.paths]
    assert {made.standing for made in again.paths} == {"unverified"}


@given(dead=refined())
def test_only_a_wholly_unknown_refining_round_is_repeated(dead: Case) -> None:
    last = of_round(dead, dead.rounds)
    to, again = sent(of(dead, kind="too_many_unknown"))
    if any(made.standing != "unknown" for made in last):
        assert (to, again) == (PATHS_VERIFIED, dead.with_(life=1))
    elif any(made.failure is None for made in last):
        assert (to, again.rounds) == (PATHS_GENERATED, dead.rounds)
        assert {made.standing for made in of_round(again, dead.rounds) if made.failure is None} == {"unverified"}
        assert planned(again) == planned(dead)
    else:
        assert to == {"medium": CASE_MEDIUM, "difficult": CASE_DIFFICULT}[str(dead.difficulty)]
        assert again.rounds == dead.rounds - 1
        assert of_round(again, dead.rounds) == []
        assert planned(again) == planned(dead)


@given(dead=cases, routing=routings())
def test_a_redrive_never_repeats_the_routers_dead_letter(dead: Case, routing: Any) -> None:
    """Else it would die of the same again: too many unknown means that something must be asked."""
    try:
        route(dead, routing)
    except Dead as why:
        to, _ = sent(of(dead, kind=why.kind))
        assert to != PATHS_VERIFIED


@given(dead=cases, topic=st.sampled_from(CASE_TOPICS))
def test_the_same_letter_makes_the_same_message(dead: Case, topic: str) -> None:
    assert redrive(of(dead, topic)) == redrive(of(dead, topic))


@given(extra=st.dictionaries(st.text(min_size=1, max_size=8).map("x_".__add__), json_values, max_size=3))
def test_unknown_fields_travel_on(extra: dict[str, Any]) -> None:
    dead = Case.model_validate({**case().model_dump(), **extra})
    assert sent(of(dead))[1] == dead.with_(life=1, call_life=0)


def test_a_submission_is_submitted_again() -> None:
    submission = Submission(case_id=ids.case_id(QUESTION), question=QUESTION)
    redriven = redrive(of(submission, QUESTION_SUBMITTED))
    assert redriven.message.topic == QUESTION_SUBMITTED
    assert decode(Submission, redriven.message.value) == submission.with_(life=1)
    named = redrive(of(submission.with_(recipe_id=ids.recipe_id(recipe())), QUESTION_SUBMITTED))
    assert named.begins.what != redriven.begins.what, "asked for under a recipe it is another work"


@given(value=st.binary(max_size=40), version=st.sampled_from(["2.0", "17.3"]))
def test_a_record_and_what_a_newer_version_wrote_go_back_as_they_were(value: bytes, version: str) -> None:
    newer = f'{{"version": "{version}", "life": "of another kind"}}'.encode()
    for dead in (letter(value, RECORD_COMPLETED, "not_yet"), letter(newer), letter(newer, QUESTION_SUBMITTED)):
        redriven = redrive(dead)
        assert redriven.message == dead.original
        assert redriven.begins.what == dead.origin


@pytest.mark.parametrize(
    ("dead", "why"),
    [
        (letter(encode(case()), kind="poison"), "fix its producer"),
        (letter(b"{", kind="killer"), "cannot be decoded"),
        (letter(b"", kind="defect"), "cannot be decoded"),
        (letter(encode(case()), topic="of-another-day"), "of-another-day"),
        (letter(encode(case()), topic="router-dead"), "router-dead"),
    ],
)
def test_letters_that_cannot_be_redriven_have_a_reason(dead: Letter, why: str) -> None:
    with pytest.raises(NotRedrivable, match=why):
        redrive(dead)


def test_a_letter_is_read_as_it_was_written() -> None:
    reason = examples.examples()["dead_letter"]
    assert isinstance(reason, DeadLetter)
    headers = {"trace": b"1", DEAD_LETTER_HEADER: encode(reason)}
    received = ConsumedRecord("router-dead", 0, 0, case().case_id.encode(), b"bytes", headers)
    read = read_letter(received)
    assert read.reason == reason
    assert read.original == OutgoingRecord(reason.topic, case().case_id.encode(), b"bytes", {"trace": b"1"})
    assert read.case_id == case().case_id
    with pytest.raises(Malformed):
        read_letter(ConsumedRecord("router-dead", 0, 0, b"", b"", {}))


def test_a_key_that_is_no_case_id_is_none() -> None:
    assert letter(b"", key=b"\x1b[2J").case_id is None
