"""One topic never blocks another, and a sender's mistake delays nobody else: the router on Apache Kafka."""

from collections.abc import AsyncIterator
from itertools import islice

import pytest
import pytest_asyncio

from services.contracts.base import RecipeId
from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.topics import QUESTION_ADMITTED, QUESTION_SUBMITTED
from services.core import ids
from services.core.ledger.budget_bound import prior
from services.core.messages import OutgoingRecord
from services.ledger import open_ledger
from tests.chaos.questions import questions
from tests.kafka.stream import Stream, case_ids, running
from tests.kafka.tap import ask_until
from tests.kafka.test_router_kafka import ROUTED, Work
from tests.strategies import recipe

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PLAIN = recipe()
RECIPE = PLAIN.with_(models={alias: model.with_(price_in=0.5, price_out=1.5) for alias, model in PLAIN.models.items()})
HELD, UNKNOWN, GOOD = 500, 1_000, 50
WORKERS = ("router-1", "router-2")
NOT_PUBLISHED = RecipeId("recipe-" + "0" * 32)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stream]:
    async with running(tmp_path_factory.mktemp("apart"), recipes=[RECIPE], servers={}, aliases={}) as stream:
        await stream.start(*WORKERS)
        yield stream


def asked(count: int, first: int) -> list[Question]:
    return list(islice(questions(count, first=first), count))


async def until_admitted(stream: Stream, wanted: list[Question]) -> None:
    def left() -> set[str]:
        return case_ids(wanted) - {(message.key or b"").decode() for message in stream.tap.messages[QUESTION_ADMITTED]}

    await stream.tap.until(lambda: not left(), lambda: f"{len(left())} are not admitted", within_s=120)


async def test_with_500_submissions_held_by_a_budget_verified_cases_are_routed(stream: Stream) -> None:
    held, verified = asked(HELD, first=1), Work(0, 60, recipe=RECIPE)
    async with open_ledger(stream.ledger) as ledger:
        await ledger.budgets.set_limit(1)
        await stream.submit(held)
        await ask_until(ledger.budgets.state, lambda state: state.waiting)
        await stream.sink.publish(verified.messages[60:])  # its verified cases
        expected = {topic: values for topic, values in verified.expected.items() if topic in ROUTED}
        await stream.tap.until(
            lambda: all(values <= set(stream.tap.values(topic)) for topic, values in expected.items()), str
        )
        assert stream.tap.messages[QUESTION_ADMITTED] == []
        assert [await stream.why_not_ready(name) for name in WORKERS] == ["", ""]

        await ask_until(lambda: stream.metrics("router-1"), lambda text: 'reasonmed_lag_offsets{partition="' in text)
        await ledger.budgets.set_limit(2 * HELD * prior(RECIPE))
        await until_admitted(stream, held)
    assert stream.dead("router") == []


async def test_1000_submissions_with_an_unpublished_recipe_delay_no_others(stream: Stream) -> None:
    """One after the other, each would wait 5 s: that is 80 minutes."""
    async with open_ledger(stream.ledger) as ledger:
        await ledger.budgets.set_limit(None)
    wrong, right = asked(UNKNOWN, first=10_000), asked(GOOD, first=20_000)
    await stream.sink.publish([naming_no_recipe(question) for question in wrong])
    await stream.submit(right)
    await until_admitted(stream, right)
    dead = await ask_until(lambda: letters(stream), lambda dead: len(dead) >= UNKNOWN)
    assert {kind for kind, _ in dead} == {"not_yet"}
    assert [await stream.why_not_ready(name) for name in WORKERS] == ["", ""], "it opens no circuit"


async def letters(stream: Stream) -> list[tuple[str, bytes]]:
    return stream.dead("router")


def naming_no_recipe(question: Question) -> OutgoingRecord:
    submitted = Submission(case_id=ids.case_id(question), question=question, recipe_id=NOT_PUBLISHED)
    return OutgoingRecord(QUESTION_SUBMITTED, submitted.case_id.encode(), encode(submitted), {})
