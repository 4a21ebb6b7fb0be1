"""The scripted model server: the same reply to the same request, every route, and a log of every request."""

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import orjson
import pytest

from services.contracts.base import CaseId
from services.core.case import prompts
from services.core.case.answers import mentions_given_answer, stated
from services.llm.scripted import recorded_author
from services.llm.scripted.script import Script
from services.llm.scripted.seeded import text_digest
from tests.http.scripts import BOTH, DATA, QUESTIONS, REFINE, VERDICT, ask, script, verify_prompt

UNKNOWN = CaseId("case-unknown")


def is_correct(playing: Script, case_id: CaseId, question, path: str, *, round: int, slot: int) -> bool:
    """As an audit does: by the log alone."""
    judging = ask("verify", case_id, round=round, slot=slot, prompt=verify_prompt(question, path), schema=VERDICT)
    notes = playing.reply(judging).notes
    assert notes["path"] == text_digest(path)
    return notes["verdict"] == "Correct" and notes["stated"] in (None, notes["gold"])


def route(playing: Script, case_id: CaseId, question) -> str:
    def standing(stage: str, round: int, slots: int) -> int:
        written = [playing.reply(ask(stage, case_id, round=round, slot=slot)).text for slot in range(slots)]
        return sum(
            is_correct(playing, case_id, question, path, round=round, slot=slot) for slot, path in enumerate(written)
        )

    correct = standing("generate", 0, 9)
    if correct >= 2:
        return "easy" if correct >= 5 else "medium"
    return "solved" if any(standing("reason", round, 2) for round in (1, 2)) else "rejected"


@pytest.mark.parametrize("seed", range(8))
def test_thirty_questions_take_every_route(seed):
    playing = script(seed)
    routes = Counter(route(playing, case_id, question) for case_id, question in QUESTIONS.items())
    assert set(routes) == {"easy", "medium", "solved", "rejected"}
    assert routes["easy"] > 10


def test_a_reply_depends_on_the_request_alone():
    asks = [
        ask(stage, case_id, slot=slot, prompt=verify_prompt(question, f"Path {slot}.\n\nFinal answer: A"))
        for case_id, question in QUESTIONS.items()
        for stage in ("generate", "verify", "score", "refine", "reason", "summarize", "")
        for slot in range(2)
    ]
    once, again = script(3), script(3)
    assert [once.reply(one) for one in asks] == [again.reply(one) for one in reversed(asks)][::-1]
    assert [once.reply(one).text for one in asks] != [script(4).reply(one).text for one in asks]


def test_paths_have_six_parts_differ_and_end_with_the_required_line():
    playing = script()
    for case_id, question in QUESTIONS.items():
        paths = [playing.reply(ask("generate", case_id, slot=slot)) for slot in range(9)]
        assert len({path.text for path in paths}) == 9
        for path in paths:
            assert path.text.count("\n## ") == 5
            assert 200 < len(path.text.split()) < 600
            assert "Scripted" in path.text
            assert path.notes["stated"] == path.text[-1] == stated(path.text, question)
            assert not mentions_given_answer(path.text)


@pytest.mark.parametrize("size", [5_000, 30_000])
def test_paths_can_be_padded(size):
    text = script(reply_bytes=size).reply(ask("generate", next(iter(QUESTIONS)))).text
    assert abs(len(text.encode()) - size) < 100
    assert text.splitlines()[-1].startswith("Final answer: ")


@pytest.mark.parametrize("max_tokens", [20, 30, 80, 160, 300])
def test_a_path_fits_its_tokens_or_is_cut_off(max_tokens):
    said = script().reply(replace(ask("generate", next(iter(QUESTIONS))), max_tokens=max_tokens))
    assert len(said.text) <= 4 * max_tokens
    assert said.finish == ("stop" if said.notes["stated"] else "length")
    assert (max_tokens < 50) == (said.finish == "length")


def test_the_judge_errs_now_and_then():
    playing, wrong, count = script(), 0, 0
    for case_id, question in QUESTIONS.items():
        for slot in range(40):
            letter = list(question.options)[slot % len(question.options)]
            path = f"Path {slot}.\n\nFinal answer: {letter}"
            judging = ask("verify", case_id, slot=slot, prompt=verify_prompt(question, path))
            right = letter == question.answer
            wrong += (playing.reply(judging).notes["verdict"] == "Correct") != right
            count += 1
    assert 0.03 < wrong / count < 0.07


def test_replies_have_just_the_fields_of_their_schema():
    playing = script()
    case_id, question = next(iter(QUESTIONS.items()))
    prompt = verify_prompt(question, f"A path.\n\nFinal answer: {question.answer}")

    def fields(stage, schema=None) -> dict[str, Any]:
        return cast(dict[str, Any], orjson.loads(playing.reply(ask(stage, case_id, prompt=prompt, schema=schema)).text))

    assert list(fields("verify", VERDICT)) == list(fields("verify")) == ["verdict", "reason"]
    assert list(fields("score")) == ["score", "justification"]
    both = fields("verify", BOTH)
    assert list(both) == ["verdict", "reason", "score", "justification"]
    assert (both["score"] == 0) == (both["verdict"] == "Error")
    assert fields("", {"properties": {"x": {"type": "boolean"}, "y": {"enum": ["a"]}}}) == {"x": False, "y": "a"}


def test_an_unknown_question_gets_a_letter_and_a_chat_a_sentence():
    said = script().reply(ask("generate", UNKNOWN))
    assert said.text.splitlines()[-1] in {f"Final answer: {letter}" for letter in "ABCD"}
    assert said.notes == {"stated": None, "gold": None}
    assert script().reply(ask("", CaseId(""))).text.startswith("Scripted text of a test server")
    judged = script().reply(ask("verify", UNKNOWN, prompt="<reasoning>x</reasoning>")).notes
    assert judged["verdict"] in ("Correct", "Error")


# --- recordings ------------------------------------------------------------------------------------------------------

recorded = pytest.mark.skipif(not (DATA / "recordings.jsonl.gz").exists(), reason="the data folder is not there")


@pytest.fixture(scope="module")
def replaying():
    questions, author = recorded_author.load(DATA, seed=1)
    return questions, author, Script(questions, author, seed=1)


@recorded
def test_recordings_are_replayed_in_our_form(replaying):
    questions, author, playing = replaying
    without_choice = 0
    for case_id, question in list(questions.items())[:500]:
        texts_of = {recording.text: recording.choice for recording in author._recordings[case_id]}
        for slot in range(9):
            said = playing.reply(ask("generate", case_id, slot=slot))
            choice = texts_of[said.text]
            without_choice += choice is None
            if choice is not None:
                assert said.text.endswith(f"\n\nFinal answer: {choice}") or said.text == f"Final answer: {choice}"
                assert said.text.count("Final answer:") == 1
                assert stated(said.text, question) == choice
    assert without_choice > 50


@recorded
def test_recordings_take_every_route_and_their_verdicts_follow_the_choice(replaying):
    questions, author, playing = replaying
    routes = Counter(route(playing, case_id, question) for case_id, question in list(questions.items())[:300])
    assert set(routes) == {"easy", "medium", "solved", "rejected"}
    right, count = 0, 0
    for case_id, question in list(questions.items())[:200]:
        for slot, recording in enumerate(author._recordings[case_id]):
            judging = ask("verify", case_id, slot=slot, prompt=verify_prompt(question, recording.text))
            said = playing.reply(judging).notes["verdict"] == "Correct"
            right += said == (recording.choice == question.answer)
            count += 1
    assert 0.93 < right / count < 0.97


@recorded
def test_a_refiner_gives_another_recording_and_rather_a_right_one(replaying):
    questions, author, playing = replaying
    better = []
    for case_id, question in list(questions.items())[:300]:
        recordings = author._recordings[case_id]
        wrong = next((recording for recording in recordings if recording.choice != question.answer), None)
        if wrong is None or not any(recording.choice == question.answer for recording in recordings):
            continue
        prompt = prompts.render(REFINE, path=wrong.text, own_reason="-", other_reasons="-")
        said = playing.reply(ask("refine", case_id, prompt=prompt))
        assert said.text != wrong.text
        better.append(said.notes["stated"] == question.answer)
    assert 0.7 < sum(better) / len(better) < 1
