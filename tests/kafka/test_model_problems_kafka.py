"""A model that is away, refuses the key, or hangs is a problem in the figures, within seconds, and no longer once it is
well: nothing is lost meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

import pytest
import pytest_asyncio

from services.core.status.figures import Figures, Problem
from services.ledger import open_status_store
from tests.chaos.questions import questions
from tests.kafka.stream import Stream, running
from tests.kafka.tap import ask_until
from tests.kafka.test_stream_kafka import recipe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

RECIPE = recipe("quick", "quick", "quick")
SETTINGS = {"REASONMED_SESSION_S": "6"}
WORKERS = ("router-1", "monitor-1", *(f"{name}-1" for name in ("generator", "verifier", "summarizer")))
REFINERS = ("refiner-medium-1", "refiner-difficult-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    folder = tmp_path_factory.mktemp("problems")
    async with running(
        folder, recipes=[RECIPE], servers={"model": "0.2"}, aliases={"quick": "model"}, settings=SETTINGS
    ) as stream:
        await stream.start(*WORKERS, *REFINERS)
        yield stream


async def problems(stream: Stream) -> list[Problem]:
    async with open_status_store(stream.ledger) as store:
        published = await store.published()
    return [] if published is None else list(Figures.model_validate_json(published).problems)


async def until_named(stream: Stream, kind: str, *, within_s: float = 60.0) -> Problem:
    def named(found: list[Problem]) -> bool:
        return any(each.kind == kind for each in found)

    found: list[Problem] = await ask_until(lambda: problems(stream), named, within_s=within_s)
    return next(each for each in found if each.kind == kind)


async def until_well(stream: Stream) -> None:
    def well(found: list[Problem]) -> bool:
        return not any(each.kind.startswith("model") for each in found)

    await ask_until(lambda: problems(stream), well)


async def test_a_server_that_is_not_there_is_named_and_then_no_longer(stream: Stream) -> None:
    asked = list(islice(questions(4), 4))
    await stream.submit(asked)
    problem = await until_named(stream, "model_away")
    assert (problem.what, "unreachable" in problem.why) == ("quick", True)
    assert "recipes check" in problem.remedy
    await stream.servers["model"].process.start()
    await stream.until_ended(asked)
    await until_well(stream)


async def test_a_server_that_hangs_is_named_and_then_no_longer(stream: Stream) -> None:
    model = stream.servers["model"].process
    asked = list(islice(questions(4, first=50), 4))
    model.pause()
    try:
        await stream.submit(asked)
        problem = await until_named(stream, "model_slow")
        assert problem.what == "quick"
        assert "has no reply after" in problem.why
        assert "99 of 100 took at most" in problem.why
    finally:
        model.resume()
    await stream.until_ended(asked)
    await until_well(stream)
    assert await stream.defects() == {}


async def test_a_worker_that_dies_takes_its_report_with_it(stream: Stream) -> None:
    await stream.servers["model"].process.terminate()
    asked = list(islice(questions(2, first=90), 2))
    await stream.submit(asked)
    await until_named(stream, "model_away")
    workers = [stream.worker(name) for name in (*WORKERS[2:], *REFINERS)]
    await asyncio.gather(*(worker.kill() for worker in workers))
    await until_well(stream)
    await stream.servers["model"].process.start()
    await stream.start(*WORKERS[2:], *REFINERS)
    await stream.until_ended(asked)
