"""`reasonmed budget`, on a real ledger in a file."""

import asyncio
import json
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from typer.testing import CliRunner

from services import recipes
from services.cli.__main__ import app
from services.cli.console import Failed
from services.cli.watch import budget
from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.spending import Price
from services.ledger import open_ledger

CALL_1 = CallId("call-1")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite://{tmp_path / 'ledger.sqlite'}"
    monkeypatch.setenv("REASONMED_LEDGER", url)
    return url


@pytest.fixture(autouse=True)
def current(monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    """The published recipes, and the current one: with prices."""
    published = AsyncMock(return_value=({"recipe-1": recipes.load("demo")}, "recipe-1"))
    monkeypatch.setattr(budget, "published_recipes", published)
    return published


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["budget", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def shown() -> dict[str, object]:
    data: dict[str, object] = json.loads(run("show", "--json"))
    return data


def test_set_raise_clear(url: str) -> None:
    assert shown()["budget_usd"] is None
    assert "budget 99.50 USD" in run("set", "99.50")
    assert shown()["budget_usd"] == 99.5
    assert "no budget" in run("clear")
    assert shown()["budget_usd"] is None


async def pay_and_wait(url: str) -> None:
    async with open_ledger(url) as ledger:
        price = Price(CaseId("case-1"), "qwen", "generate", 1.0, 2.0)
        reply = Reply("", "stop", Usage(prompt=1_000_000, completion=500_000, cached=10))
        await ledger.calls.complete({CALL_1: reply}, owner="a", prices={CALL_1: price})
        assert not await ledger.budgets.reserve(
            CaseId("case-2"), WorkId("work-2"), 0, recipe_id=RecipeId("r"), prior_nano_usd=1
        )


def test_spending_and_waiting_questions_are_shown(url: str) -> None:
    run("set", "2")
    asyncio.run(pay_and_wait(url))
    data = shown()
    assert (data["spent_usd"], data["waiting"]) == (2.0, True)
    assert data["spent"] == [
        {
            "alias": "qwen",
            "stage": "generate",
            "calls": 1,
            "tokens_in": 1_000_000,
            "tokens_cached": 10,
            "tokens_out": 500_000,
            "usd": 2.0,
        }
    ]
    text = run("show")
    assert "questions wait" in text
    assert "500,000" in text


@pytest.mark.parametrize("amount", ["much", "-1", "nan", "1e30", "inf"])
def test_an_invalid_amount_is_refused(url: str, amount: str) -> None:
    result = CliRunner().invoke(app, ["budget", "set", "--", amount])
    assert result.exit_code == 2
    assert "an amount of USD" in result.output
    assert shown()["budget_usd"] is None


@pytest.mark.parametrize("current_id", ["recipe-1", None])
def test_a_limit_without_prices_is_refused(url: str, current: AsyncMock, current_id: str | None) -> None:
    current.return_value = ({"recipe-1": recipes.load("default")}, current_id)
    with pytest.raises(Failed, match="prices"):
        CliRunner().invoke(app, ["budget", "set", "250"], catch_exceptions=False)
    assert shown()["budget_usd"] is None
