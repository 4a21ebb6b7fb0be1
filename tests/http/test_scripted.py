"""The scripted model server: the same reply to the same request, every route, and an account of it all."""

import asyncio
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest

from services.contracts.recipe import Sampling
from services.core.case import ids, prompts
from services.core.case.answers import mentions_given_answer, stated
from services.llm.client import ChatClient, Endpoint
from services.llm.scripted import known, recorded_author
from services.llm.scripted.asks import Ask
from services.llm.scripted.log import Log
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor
from services.llm.scripted.seeded import text_digest
from services.llm.scripted.server import Latency, Load, ScriptedServer
from services.llm.troubles import Busy

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
VERIFY = (ROOT / "services/verifier/prompts/verify_and_score.md").read_text()
REFINE = (ROOT / "services/refiner/prompts/refine.md").read_text()
QUESTIONS = known.questions(known.SAMPLES)
VERDICT = {
    "title": "verdict",
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["Correct", "Error"]}, "reason": {"type": "string"}},
    "required": ["verdict", "reason"],
}
BOTH = {
    **VERDICT,
    "properties": {**VERDICT["properties"], "score": {"type": "integer"}, "justification": {"type": "string"}},
}


def script(seed: int = 1, **author) -> Script:
    return Script(QUESTIONS, ScriptedAuthor(QUESTIONS, seed=seed, **author), seed=seed)


def ask(stage: str, case_id: str, *, round: int = 0, slot: int = 0, prompt: str = "p", schema=None) -> Ask:
    return Ask(stage, case_id, prompt, ids.seed(case_id, stage, "any", round, slot), 8_192, schema)


def verify_prompt(question, path: str) -> str:
    return prompts.render(VERIFY, question=prompts.question_block(question), gold=prompts.gold(question), path=path)


def stands(playing: Script, case_id: str, question, path: str, *, round: int, slot: int) -> bool:
    """As an account does it: by the log's notes alone."""
    judging = ask("verify", case_id, round=round, slot=slot, prompt=verify_prompt(question, path), schema=VERDICT)
    notes = playing.reply(judging).notes
    assert notes["path"] == text_digest(path)
    return notes["verdict"] == "Correct" and notes["stated"] in (None, notes["gold"])


def route(playing: Script, case_id: str, question) -> str:
    def standing(stage: str, round: int, slots: int) -> int:
        written = [playing.reply(ask(stage, case_id, round=round, slot=slot)).text for slot in range(slots)]
        return sum(
            stands(playing, case_id, question, path, round=round, slot=slot) for slot, path in enumerate(written)
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

    def fields(stage, schema=None) -> dict:
        return orjson.loads(playing.reply(ask(stage, case_id, prompt=prompt, schema=schema)).text)

    assert list(fields("verify", VERDICT)) == list(fields("verify")) == ["verdict", "reason"]
    assert list(fields("score")) == ["score", "justification"]
    both = fields("verify", BOTH)
    assert list(both) == ["verdict", "reason", "score", "justification"]
    assert (both["score"] == 0) == (both["verdict"] == "Error")
    assert fields("", {"properties": {"x": {"type": "boolean"}, "y": {"enum": ["a"]}}}) == {"x": False, "y": "a"}


def test_an_unknown_question_gets_a_letter_and_a_chat_a_sentence():
    said = script().reply(ask("generate", "case-unknown"))
    assert said.text.splitlines()[-1] in {f"Final answer: {letter}" for letter in "ABCD"}
    assert said.notes == {"stated": None, "gold": None}
    assert script().reply(ask("", "")).text.startswith("Scripted text of a test server")
    judged = script().reply(ask("verify", "case-unknown", prompt="<reasoning>x</reasoning>")).notes
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


# --- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.fixture
def playing(served, tmp_path):
    """A server with a client, and its log's end lines afterwards."""

    class Playing:
        def __init__(self) -> None:
            self.file = tmp_path / "calls.jsonl"

        async def run(self, load: Load, story, *, seed: int = 1) -> list[dict]:
            log = Log(self.file)
            server = ScriptedServer(script(seed), load, log, seed=seed)
            async with (
                served(server.app()) as base_url,
                ChatClient({"writer": Endpoint(base_url, timeout_s=10, max_calls=300)}) as client,
            ):
                await story(client)
            log.close()
            return [orjson.loads(line) for line in self.file.read_bytes().splitlines()]

    return Playing()


def instant(slots: int = 300, **more) -> Load:
    return Load(slots, Latency(0.0, 0.0), **more)


async def test_a_call_over_http_and_its_account(playing, request_of):
    case_id, question = next(iter(QUESTIONS.items()))
    sampling = Sampling(temperature=0.7, max_tokens=8_192)
    writing = request_of(1, case_id=case_id, sampling=sampling)
    replies = []

    async def story(client: ChatClient) -> None:
        path = await client.send(writing, owner="one", attempt=writing.call_id)
        prompt = verify_prompt(question, path.text)
        judging = request_of(2, case_id=case_id, stage="verify", prompt=prompt, schema=BOTH, sampling=sampling)
        replies.extend([path, await client.send(judging, owner="two", attempt=judging.call_id)])

    starts_and_ends = await playing.run(instant(), story)
    assert [line["event"] for line in starts_and_ends] == ["start", "end", "start", "end"]
    wrote, judged = (line for line in starts_and_ends if line["event"] == "end")
    path, verdict = replies
    assert wrote["id"] == writing.call_id
    assert (wrote["owner"], wrote["stage"], wrote["case"], wrote["status"]) == ("one", "generate", case_id, 200)
    assert wrote["text"] == text_digest(path.text) == judged["path"]
    assert wrote["stated"] == path.text[-1] == judged["stated"]
    assert wrote["gold"] == question.answer
    assert wrote["start"] <= wrote["end"]
    assert wrote["usage"] == {"prompt": path.usage.prompt, "completion": path.usage.completion, "cached": 0}
    assert "reset" not in wrote
    said = orjson.loads(verdict.text)
    assert (judged["verdict"], judged["score"]) == (said["verdict"], said["score"])
    assert 0 < verdict.usage.cached < verdict.usage.prompt


async def test_slots_bound_what_is_served_at_once(playing, request_of):
    async def story(client: ChatClient) -> None:
        await asyncio.gather(
            *(client.send(request_of(number), owner="x", attempt=request_of(number).call_id) for number in range(12))
        )

    begun = asyncio.get_running_loop().time()
    await playing.run(Load(4, Latency(0.1, 0.1)), story)
    assert asyncio.get_running_loop().time() - begun >= 0.3


async def test_beyond_the_queue_it_is_too_busy(playing, request_of):
    async def story(client: ChatClient) -> None:
        sent = [
            asyncio.create_task(client.send(request_of(number), owner="x", attempt=request_of(number).call_id))
            for number in range(10)
        ]
        results = await asyncio.gather(*sent, return_exceptions=True)
        busy = [result for result in results if isinstance(result, Busy)]
        assert len(busy) == 5
        assert busy[0].retry_after == 1

    lines = await playing.run(Load(2, Latency(0.2, 0.2), queue=3), story)
    assert Counter(line["status"] for line in lines if line["event"] == "end") == {200: 5, 429: 5}


async def test_a_client_that_goes_away_frees_its_slot_and_is_seen(playing, request_of):
    async def story(client: ChatClient) -> None:
        gone = asyncio.create_task(client.send(request_of(1), owner="x", attempt=request_of(1).call_id))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await client.send(request_of(2), owner="x", attempt=request_of(2).call_id)

    lines = await playing.run(Load(1, Latency(0.3, 0.3)), story)
    first, second = (line for line in lines if line["event"] == "end")
    assert (first["status"], first["reset"]) == (None, True)
    assert second["status"] == 200
    assert second["end"] - first["end"] < 1


async def test_latency_is_drawn_by_call_id():
    latency = Latency.parse("0.1:20")
    drawn = [latency.of(f"call-{number}", 1) for number in range(500)]
    assert drawn == [latency.of(f"call-{number}", 1) for number in range(500)]
    assert min(drawn) >= 0.1
    assert max(drawn) <= 20
    assert 9 < sum(drawn) / 500 < 11
    assert Latency.parse("0.2").of("any", 1) == 0.2
    for wrong in ("-1", "2:1", "x", ""):
        with pytest.raises(ValueError):  # noqa: PT011
            Latency.parse(wrong)


async def test_what_is_no_chat_is_refused(served):
    log = Log(None)
    async with (
        served(ScriptedServer(script(), instant(), log, seed=1).app()) as base_url,
        aiohttp.ClientSession() as session,
    ):
        for body in (b"", b"{", b"[]", b'{"messages": []}', b'{"messages": [{"content": "x"}], "stream": true}'):
            async with session.post(f"{base_url}/chat/completions", data=body) as response:
                assert response.status == 400
        async with session.get(f"{base_url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["scripted"]
        async with session.get(f"{base_url.removesuffix('/v1')}/health") as response:
            assert response.status == 200


async def test_the_command_serves_until_it_is_told_to_stop_and_its_log_is_whole(tmp_path, request_of):
    file = tmp_path / "calls.jsonl"
    arguments = ["--port", "0", "--slots", "5", "--latency", "30", "--log", str(file)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.llm.scripted", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        said = (await process.stdout.readline()).decode()
        base_url = said.split()[-1]
        async with ChatClient({"writer": Endpoint(base_url)}) as client:
            calls = [
                asyncio.create_task(client.send(request_of(number), owner="x", attempt=request_of(number).call_id))
                for number in range(3)
            ]
            while file.read_bytes().count(b'"start"') < 3:  # noqa: ASYNC110 (another process writes it)
                await asyncio.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
            await asyncio.gather(*calls, return_exceptions=True)
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert Counter(line["event"] for line in lines) == {"start": 3, "end": 3}
    assert all(line["reset"] for line in lines if line["event"] == "end")
