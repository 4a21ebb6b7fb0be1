"""A budget on Apache Kafka: admission stops at it, open cases continue, and the rest is admitted once it is raised."""

from itertools import islice
from pathlib import Path

from services.contracts.codec import encode
from services.contracts.recipe import Recipe
from services.contracts.topics import QUESTION_ADMITTED, dead_topic
from services.core.ledger.budget_bound import ceiling, prior
from services.core.ledger.spending import BudgetState
from services.ledger import Ledger, open_ledger
from tests.chaos.questions import questions
from tests.kafka.rolling import recipe
from tests.kafka.stream import running
from tests.kafka.tap import ask_until

WORKERS = (
    *("router-1", "generator-1", "verifier-1", "refiner-medium-1", "refiner-difficult-1", "summarizer-1"),
    "monitor-1",
)


def priced() -> Recipe:
    plain = recipe()
    return plain.with_(
        models={alias: model.with_(price_in=0.5, price_out=1.5) for alias, model in plain.models.items()}
    )


async def waiting(ledger: Ledger) -> BudgetState:
    """The budget, once a question waits and no case is open."""
    return await ask_until(ledger.budgets.state, lambda state: state.waiting and state.open == 0)  # type: ignore[no-any-return]


async def test_admission_stops_at_the_budget_and_resumes_when_it_is_raised(tmp_path: Path) -> None:
    priced_recipe, asked = priced(), list(islice(questions(8), 8))
    one = prior(priced_recipe)
    known = tmp_path / "questions.jsonl"
    known.write_bytes(b"\n".join(encode(question) for question in asked))
    async with (
        running(
            tmp_path,
            recipes=[priced_recipe],
            servers={"models": "0.01:0.02"},
            aliases=dict.fromkeys(priced_recipe.models, "models"),
            questions=known,
        ) as stream,
        open_ledger(stream.ledger) as ledger,
    ):
        await stream.servers["models"].process.start()
        # Room for one case as dear as is thought: once it has cost anything, no other fits.
        await ledger.budgets.set_limit(one)
        await stream.start(*WORKERS)
        await stream.submit(asked)

        state = await waiting(ledger)
        assert 0 < state.spent_nano_usd <= ceiling(priced_recipe), "the budget, and what the open case costs beyond it"
        await stream.tap.until(lambda: bool(stream.tap.messages[QUESTION_ADMITTED]), str)  # it has cost something
        assert len(stream.tap.messages[QUESTION_ADMITTED]) == 1
        assert await stream.why_not_ready("router-1") == "", "who waits for money is not ill"

        # A router that gets SIGTERM does not wait for the budget, and the next one resumes where it was.
        assert await stream.worker("router-1").terminate(30.0) == 0
        await stream.start("router-1")
        await ledger.budgets.set_limit(100 * one)
        await stream.until_ended(asked)

        assert await stream.defects() == {}
        assert stream.tap.messages[dead_topic("router")] == []
        assert len(stream.tap.messages[QUESTION_ADMITTED]) == len(asked)
        ended = await ask_until(ledger.budgets.state, lambda state: state.open == 0)
        assert ended.reserved_nano_usd == 0
        calls = {call.call_id: call.outcome.usage for call in await ledger.books.calls()}
        spent = await ledger.budgets.spendings()
        assert sum(each.calls for each in spent) == len(calls)
        assert sum(each.usage.completion for each in spent) == sum(usage.completion for usage in calls.values())
        assert sum(each.nano_usd for each in spent) == ended.spent_nano_usd
