"""The scripted server over HTTP: slots, queue, latency, its log, and the command."""

import asyncio
import os
import signal
import sys
from collections import Counter
from typing import Any

import aiohttp
import orjson
import pytest

from services.contracts.recipe import Sampling
from services.core.endpoint import Endpoint
from services.llm.client import ChatClient
from services.llm.scripted.log import Log
from services.llm.scripted.seeded import text_digest
from services.llm.scripted.server import Latency, Load, ScriptedServer
from services.llm.troubles import Busy
from tests.http.scripts import BOTH, QUESTIONS, ROOT, script, verify_prompt


@pytest.fixture
def playing(served, tmp_path):
    """A server with a client, and its log's end lines afterwards."""

    class Playing:
        def __init__(self) -> None:
            self.file = tmp_path / "calls.jsonl"

        async def run(self, load: Load, story, *, seed: int = 1) -> list[dict[str, Any]]:
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


async def test_an_invalid_chat_request_is_refused(served):
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


async def test_the_command_serves_until_sigterm_and_its_log_is_complete(tmp_path, request_of):
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
