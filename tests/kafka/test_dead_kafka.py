"""Dead letters on Apache Kafka itself: made by the services, redriven by the command, once."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.recipe import Generation, Model, Recipe, Slot
from services.contracts.topics import CASE_ACCEPTED, LETTER_REDRIVEN, PATHS_VERIFIED, QUESTION_ADMITTED, dead_topic
from services.core import ids
from services.core.messages import OutgoingRecord
from services.llm.scripted import known
from services.recipes import load
from services.worker.publishing import publish_recipe
from tests.kafka.stream import PROJECT, Stream, running, submission
from tests.kafka.tap import ask_until
from tests.strategies import case, correct, failed, path

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

SAMPLES = list(known.questions(known.SAMPLES).values())


def recipe(name: str) -> Recipe:
    """Nine paths by one quick model, which does all else too."""
    default = load("default")
    tasks = {
        task: getattr(default, task).with_(alias="quick", sampling=default.verify.sampling.with_(max_tokens=2_000))
        for task in ("verify", "score", "refine", "reason", "summarize")
    }
    plan = tuple(Slot(alias="quick", temperature=0.7) for _ in range(9))
    return default.with_(
        name=name,
        models={"quick": Model(served="quick")},
        generate=Generation(prompt=default.generate.prompt, plan=plan, max_tokens=2_000),
        **tasks,
    )


CURRENT, LATER = recipe("current"), recipe("later")


def half_unknown() -> Case:
    """Five paths found correct, which decide the route, and four whose calls failed, which are too many."""
    new = case(SAMPLES[0], CURRENT)
    paths = [path(new, slot, alias="quick", text=f"Text {slot}.") for slot in range(9)]
    return new.with_(paths=tuple(correct(made) if made.slot < 5 else failed(made) for made in paths))


async def reasonmed(stream: Stream, *arguments: str) -> Any:
    """What the command says."""
    env = {**os.environ, "REASONMED_KAFKA__BOOTSTRAP": stream.client.bootstrap, "REASONMED_LEDGER": stream.ledger}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments, "--json"),
        cwd=PROJECT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return json.loads(said)


async def test_dead_letters_are_redriven_once_and_end_in_their_new_life(tmp_path: Path) -> None:
    dead, named = half_unknown(), SAMPLES[1]
    named_work = ids.work_id(ids.case_id(named), ids.recipe_id(LATER))
    async with running(tmp_path, recipes=[CURRENT], servers={"quick": "0.01"}, aliases={"quick": "quick"}) as stream:
        await stream.servers["quick"].process.start()
        await stream.start(
            "router-1", "generator-1", "verifier-1", "refiner-medium-1", "refiner-difficult-1", "summarizer-1"
        )
        await stream.sink.publish(
            [
                OutgoingRecord(PATHS_VERIFIED, dead.case_id.encode(), encode(dead), {}),
                OutgoingRecord(PATHS_VERIFIED, b"key", b"{", {}),
                submission(named, LATER),
            ]
        )
        buried = stream.tap.messages[dead_topic("router")]
        await stream.tap.until(lambda: len(buried) == 3, lambda: stream.dead("router"))

        listed = await reasonmed(stream, "dead", "list")
        assert [(each["kind"], each["count"]) for each in listed["counts"]] == [
            ("not_yet", 1), ("poison", 1), ("too_many_unknown", 1),
        ]  # fmt: skip
        assert not any(each["redriven"] for each in listed["letters"])
        shown = next(each for each in listed["letters"] if each["kind"] == "too_many_unknown")
        place = f"{shown['partition']}/{shown['offset']}"
        whole = await reasonmed(stream, "dead", "show", "router", place, "--raw", str(tmp_path / "raw"))
        assert (tmp_path / "raw").read_bytes() == encode(dead)
        assert "4 of 9 paths are unknown" in whole["error"]

        await publish_recipe(stream.sink, LATER, current=False, max_message_bytes=stream.client.max_message_bytes)
        assert (await reasonmed(stream, "dead", "redrive"))["dry_run"] is True
        sent = await reasonmed(stream, "dead", "redrive", "--all", "--yes")
        assert {(each["kind"], each["to"]) for each in sent["redrives"]} == {
            ("too_many_unknown", QUESTION_ADMITTED), ("not_yet", "question-submitted"),
        }  # fmt: skip
        assert [each["kind"] for each in sent["stuck"]] == ["poison"]

        new_lives = {(dead.work_id, 1), (named_work, 1)}
        await stream.tap.until(
            lambda: new_lives <= set(stream.tap.seen.ends()), lambda: stream.tap.seen.ends(), within_s=90
        )
        assert stream.tap.seen.ends()[dead.work_id, 0] == {"dead"}
        assert stream.tap.seen.ends()[dead.work_id, 1] == {"accepted"}
        assert (named_work, 0) not in stream.tap.seen.ends(), "its first life never began"
        starts = [line["stage"] for line in stream.log([SAMPLES[0]]) if line["event"] == "start"]
        assert (starts.count("generate"), starts.count("verify")) == (4, 4), "what was known is not paid for again"

        before = len(stream.tap.messages[QUESTION_ADMITTED])
        again = await reasonmed(stream, "dead", "redrive", "--all", "--yes")
        assert (again["redrives"], again["already_redriven"]) == ([], 2)
        await ask_until(lambda: asyncio.sleep(0, len(stream.tap.messages[LETTER_REDRIVEN])), lambda count: count == 2)
        assert len(stream.tap.messages[QUESTION_ADMITTED]) == before == 2
        accepted = stream.tap.values(CASE_ACCEPTED, dead.case_id)
        assert len(accepted) == 1
        assert stream.tap.seen.two_ends() == 0
