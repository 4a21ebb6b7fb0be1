"""The calls of a case for the command line: read from the monitor's store, Kafka and the ledger, and printed."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from services.cli.console import Column, Failed, many, out, print_table
from services.cli.run import recipe_store
from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.recipe import Recipe
from services.ledger import open_ledger, open_status_store
from services.lineage.calls import CaseCall
from services.lineage.case import case_calls
from services.lineage.data import call_data, texts
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_at

COLUMNS = (
    *(
        Column("call"),
        Column("stage"),
        Column("path", drop=1),
        Column("alias", drop=2),
        Column("ask", right=True, drop=4),
    ),
    *(Column("tokens in", right=True, drop=3), Column("out", right=True, drop=3), Column("USD", right=True, drop=2)),
    *(Column("sends", right=True, drop=5), Column("seed", right=True, drop=6), Column("outcome", drop=1)),
)


async def of_case(case_id: str, url: str, kafka: KafkaClient) -> dict[WorkId, list[CaseCall]]:
    """The calls of each work of the case. Raises Failed, LedgerAway, BrokerAway."""
    async with open_status_store(url) as store, open_ledger(url) as ledger:
        history = await store.case(CaseId(case_id))
        if history is None:
            raise Failed(f"the monitor has no case {case_id}: is the id whole, and did a monitor run meanwhile?")
        published, _ = await recipe_store.published(kafka)

        async def recipe_of(recipe_id: RecipeId) -> Recipe | None:
            return published.get(recipe_id)

        return await case_calls(history, partial(read_at, kafka), recipe_of, ledger.books)


async def one(call_id: str, url: str, kafka: KafkaClient) -> dict[str, Any]:
    """A call with its case, prompt, reply and thinking. Raises Failed, LedgerAway, BrokerAway."""
    async with open_ledger(url) as ledger:
        row = (await ledger.books.found([CallId(call_id)])).get(CallId(call_id))
    if row is None:
        raise Failed(f"the ledger has no call {call_id}: is the id whole? It may have been pruned")
    if row.origin is None:
        raise Failed(f"{call_id} is in the ledger, but an older version wrote it, without its case")
    for work_id, calls in (await of_case(row.origin.case_id, url, kafka)).items():
        for call in calls:
            if call.call_id == call_id:
                return {**call_data(call), "case_id": row.origin.case_id, "work_id": work_id, **texts(call)}
    raise Failed(
        f"{call_id} was made for {row.origin.case_id} ({row.origin.stage}), of which Kafka no longer has the messages, "
        "so its prompt can't be rendered"
    )


def plain(works: Mapping[WorkId, Sequence[CaseCall]]) -> dict[str, list[dict[str, Any]]]:
    """The calls as data, with their texts, by work."""
    return {work_id: [{**call_data(call), **texts(call)} for call in calls] for work_id, calls in works.items()}


def show(works: Mapping[WorkId, Sequence[CaseCall]], *, wide: bool) -> None:
    """Print a table of each work's calls."""
    for work_id, calls in works.items():
        usd = sum(call.usd for call in calls)
        out.print(f"{work_id}: {many(len(calls), 'call')}, {usd:.6f} USD", highlight=False)
        if calls:
            print_table(COLUMNS, [_cells(call_data(call)) for call in calls], wide=wide)
    if not any(works.values()):
        out.print("No calls: Kafka no longer has the case's messages, or none was asked for yet.", highlight=False)


def _cells(call: Mapping[str, Any]) -> tuple[str, ...]:
    outcome = call["finish_reason"] or call["outcome"]
    counts = (f"{call['tokens_in']:,}", f"{call['tokens_out']:,}", f"{call['usd']:.6f}", str(call["sends"] or ""))
    names = (call["call_id"], call["stage"], call["path"], call["alias"], str(call["ask"]))
    return (*names, *counts, str(call["seed"]), f"{outcome}: {call['problem']}" if call["problem"] else outcome)
