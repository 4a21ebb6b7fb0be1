"""`reasonmed budget`: the cost of model calls, and the limit at which admission stops."""

import asyncio
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from services.cli.console import UP, Bootstrap, Column, Failed, Folder, Json, Wide, emit, many, out, print_table
from services.cli.coordinates import client, ledger
from services.cli.run.recipe_store import published as published_recipes
from services.contracts.base import CaseId
from services.core.ledger.spending import NANO, BudgetState, Spending
from services.ledger import open_ledger
from services.runtime.kafka.client import KafkaClient

app = typer.Typer(
    no_args_is_help=True,
    help="The cost of model calls, by the recipes' prices, and the limit at which admission stops.",
)

REASON_CHARACTERS = 400
"""Of the reason for an end: what the monitor keeps of one."""
MOST_USD = 9_000_000
"""Sums of nano-USD up to this are exact in every ledger."""


@app.command("show")
def show(folder: Folder = UP, json: Json = False, wide: Wide = False) -> None:
    """Show the budget and the spending, by model and stage: each paid call once, failed ones included.

    Reserved is the estimated remaining cost of the open cases. Calls of workers of an older version are not included.

    Example:  reasonmed budget show --json
    """
    state, spendings = asyncio.run(_read(ledger(folder)))
    emit(_data(state, spendings)) if json else _show(state, spendings, wide=wide)


@app.command("set")
def set_(
    usd: Annotated[str, typer.Argument(help="USD in all: earlier spending counts.")],
    bootstrap: Bootstrap = None,
    folder: Folder = UP,
) -> None:
    """Set the limit. Admission stops once the spent and the reserved cost reach it.

    Open cases run to their end, so spending may exceed the limit by what they cost beyond their estimates. Questions
    wait in their topic, and continue within 5 s once the limit is raised. The current recipe must have prices.

    Example:  reasonmed budget set 250
    """
    limit = _nano(usd)
    asyncio.run(_refuse_without_prices(client(bootstrap, folder)))
    state = asyncio.run(_set(ledger(folder), limit))
    out.print(_line(state), highlight=False)


@app.command("clear")
def clear(folder: Folder = UP) -> None:
    """Remove the limit.

    Example:  reasonmed budget clear
    """
    out.print(_line(asyncio.run(_set(ledger(folder), None))), highlight=False)


@app.command("end")
def end(
    case_id: Annotated[str, typer.Argument(metavar="CASE", help="The id of a question that waits for the budget.")],
    reason: Annotated[str, typer.Option(help="Why, for people: the rejected case says it.")],
    folder: Folder = UP,
) -> None:
    """End a question that waits for the budget, for good: it becomes a rejected case with the reason.

    The router rejects it at its next look, within 5 s. A case that is admitted already is refused: it has paid calls.

    Example:  reasonmed budget end case-0123456789abcdef --reason "question withdrawn"
    """
    if not re.fullmatch(r"case-[0-9a-f]{32}", case_id):
        raise typer.BadParameter("case- and 32 hexadecimal digits", param_hint="CASE")
    if not asyncio.run(_end(ledger(folder), CaseId(case_id), reason)):
        raise Failed(f"{case_id} is admitted already: it ends by itself, or in dead letters (`reasonmed dead end`)")
    out.print(f"{case_id} will be rejected instead of admitted.", highlight=False)


def _nano(usd: str) -> int:
    try:
        amount = Decimal(usd)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= MOST_USD):
        raise typer.BadParameter(f"an amount of USD from 0 to {MOST_USD:,}, as in 250 or 99.50", param_hint="USD")
    return int(amount * NANO)


async def _refuse_without_prices(kafka: KafkaClient) -> None:
    """Without prices nothing is ever spent, and the limit would never be reached. Raises Failed, BrokerAway."""
    published, current = await published_recipes(kafka)
    recipe = published.get(current or "")
    if recipe is None:
        raise Failed("no recipe is current: publish one with prices (`reasonmed recipes publish FILE --current`)")
    if not any(model.price_in or model.price_out for model in recipe.models.values()):
        raise Failed(
            f"the current recipe, {recipe.name}, has no prices, so nothing would count as spent: give its models "
            "price_in and price_out (USD a million tokens) and publish it with --current"
        )


async def _read(url: str) -> tuple[BudgetState, Sequence[Spending]]:
    async with open_ledger(url) as ledger:
        return await ledger.budgets.state(), await ledger.budgets.spendings()


async def _end(url: str, case_id: CaseId, reason: str) -> bool:
    async with open_ledger(url) as ledger:
        return await ledger.budgets.end(case_id, reason[:REASON_CHARACTERS])


async def _set(url: str, limit: int | None) -> BudgetState:
    async with open_ledger(url) as ledger:
        await ledger.budgets.set_limit(limit)
        return await ledger.budgets.state()


def _usd(nano_usd: int) -> float:
    return nano_usd / NANO


def _data(state: BudgetState, spendings: Sequence[Spending]) -> dict[str, Any]:
    return {
        "budget_usd": None if state.limit_nano_usd is None else _usd(state.limit_nano_usd),
        "spent_usd": _usd(state.spent_nano_usd),
        "reserved_usd": _usd(state.reserved_nano_usd),
        "open_cases": state.open,
        "waiting": state.waiting,
        "spent": [
            {
                "alias": each.alias,
                "stage": each.stage,
                "calls": each.calls,
                "tokens_in": each.usage.prompt,
                "tokens_cached": each.usage.cached,
                "tokens_out": each.usage.completion,
                "usd": _usd(each.nano_usd),
            }
            for each in spendings
        ],
    }


def _shown(nano_usd: int) -> str:
    """With cents; a smaller amount with two digits that are not 0."""
    usd = _usd(nano_usd)
    return f"{usd:,.2f}" if usd >= 1 or not usd else f"{usd:.2g}"


def _line(state: BudgetState) -> str:
    budget = "no budget" if state.limit_nano_usd is None else f"budget {_shown(state.limit_nano_usd)} USD"
    waits = "; questions wait: raise it with `reasonmed budget set`" if state.waiting else ""
    return (
        f"{budget}; spent {_shown(state.spent_nano_usd)}, reserved {_shown(state.reserved_nano_usd)} USD "
        f"for {many(state.open, 'open case')}{waits}"
    )


COLUMNS = (
    *(Column("model"), Column("stage"), Column("calls", right=True, drop=2), Column("tokens in", right=True, drop=1)),
    *(Column("cached", right=True, drop=3), Column("tokens out", right=True, drop=1), Column("USD", right=True)),
)


def _show(state: BudgetState, spendings: Sequence[Spending], *, wide: bool) -> None:
    rows = []
    for each in spendings:
        counts = (each.calls, each.usage.prompt, each.usage.cached, each.usage.completion)
        rows.append((each.alias, each.stage, *(f"{count:,}" for count in counts), f"{_usd(each.nano_usd):,.4f}"))
    if rows:
        print_table(COLUMNS, rows, wide=wide)
    out.print(_line(state), highlight=False)
