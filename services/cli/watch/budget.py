"""`reasonmed budget`: what was spent, and the sum at which admission stops."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.table import Table

from services.cli.console import UP, Folder, Json, emit, out
from services.cli.coordinates import ledger
from services.core.ledger.spending import NANO, BudgetState, Spending
from services.ledger import open_ledger

app = typer.Typer(
    no_args_is_help=True,
    help="Money: what model calls have cost, by the recipes' prices, and the sum at which admission stops.",
)

MOST_USD = 9_000_000
"""What sums of nano-USD are exact up to, in every ledger."""


@app.command("show")
def show(folder: Folder = UP, json: Json = False) -> None:
    """Show the budget and what was spent, by model and stage: each paid call once, failed ones too.

    Reserved is what the open cases will probably still cost. Calls that workers of an older version made are not in it.

    Example:  reasonmed budget show --json
    """
    state, spendings = asyncio.run(_look(ledger(folder)))
    emit(_data(state, spendings)) if json else _show(state, spendings)


@app.command("set")
def set_(
    usd: Annotated[str, typer.Argument(help="USD, from the beginning on: what is spent counts.")], folder: Folder = UP
) -> None:
    """Set the sum. Admission stops once what is spent and what open cases will probably still cost reach it.

    Cases under way go on to their end, so a little more can be spent: for each open case, what it costs beyond its
    estimate. Questions wait where they are, none is lost, and go on by themselves once the sum is raised.

    Example:  reasonmed budget set 250
    """
    state = asyncio.run(_set(ledger(folder), _nano(usd)))
    out.print(_line(state), highlight=False)


@app.command("clear")
def clear(folder: Folder = UP) -> None:
    """Have no budget: nothing waits for money.

    Example:  reasonmed budget clear
    """
    out.print(_line(asyncio.run(_set(ledger(folder), None))), highlight=False)


def _nano(usd: str) -> int:
    try:
        amount = Decimal(usd)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= MOST_USD):
        raise typer.BadParameter(f"an amount of USD from 0 to {MOST_USD:,}, as in 250 or 99.50", param_hint="USD")
    return int(amount * NANO)


async def _look(url: str) -> tuple[BudgetState, Sequence[Spending]]:
    async with open_ledger(url) as ledger:
        return await ledger.budgets.state(), await ledger.budgets.spendings()


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


def _line(state: BudgetState) -> str:
    budget = "no budget" if state.limit_nano_usd is None else f"budget {_usd(state.limit_nano_usd):,.2f} USD"
    waits = "; questions wait: raise it with `reasonmed budget set`" if state.waiting else ""
    return (
        f"{budget}; spent {_usd(state.spent_nano_usd):,.2f}, reserved {_usd(state.reserved_nano_usd):,.2f} USD "
        f"for {state.open} open cases{waits}"
    )


def _show(state: BudgetState, spendings: Sequence[Spending]) -> None:
    table = Table("model", "stage")
    for name in ("calls", "tokens in", "cached", "tokens out", "USD"):
        table.add_column(name, justify="right")
    for each in spendings:
        counts = (each.calls, each.usage.prompt, each.usage.cached, each.usage.completion)
        table.add_row(each.alias, each.stage, *(f"{count:,}" for count in counts), f"{_usd(each.nano_usd):,.4f}")
    if spendings:
        out.print(table)
    out.print(_line(state), highlight=False)
