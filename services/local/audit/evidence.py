"""Reads the inputs of an audit: topics, ledger, the model server's log, the dataset."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from services.contracts.topics import topics
from services.datasets.dataset import Dataset
from services.ledger import open_ledger
from services.local.audit.full_plan import FullPlan
from services.local.audit.report import Ledger, LogLine, Used, audit_report
from services.local.audit.topic_counts import Topics
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_topic


async def audit_run(
    client: KafkaClient,
    *,
    ledger: str,
    log: Path | None,
    dataset: Path,
    used: Mapping[str, Used] | None = None,
    seconds: float | None = None,
    full_plan: FullPlan | None = None,
) -> dict[str, Any]:
    """Audit a run; services.local.audit.report lists the fields. `seconds` is the duration of the run; None: from the
    first lease to the last reply in the ledger. With `full_plan` each route is checked against it. Reads all topics up
    to their current end, one message at a time. Raises BrokerAway, LedgerAway, LedgerUnusable, OSError."""
    seen = Topics()
    async for message in read_topic(client, *topics()):
        seen.take(message)
    async with open_ledger(ledger) as opened:
        held = Ledger(calls=await opened.books.calls(), claims=await opened.books.claims())
    lines = await asyncio.to_thread(_lines, log) if log is not None else None
    batches = await asyncio.to_thread(lambda: list(Dataset.open(dataset).batches(["record_id"])))
    ids = [record_id for batch in batches for record_id in batch["record_id"].to_pylist()]
    took = _span(held) if seconds is None else seconds
    report = audit_report(seen, held, lines, ids, used=used or {}, seconds=took, dataset=dataset)
    return report if full_plan is None else {**report, "full_plan_mismatches": await full_plan.mismatches(seen)}


def _lines(log: Path) -> list[LogLine]:
    with log.open("rb") as file:
        return [orjson.loads(line) for line in file]


def _span(ledger: Ledger) -> float:
    if not ledger.calls or not ledger.claims:
        return 0.0
    return max(call.at for call in ledger.calls) - min(claim.since for claim in ledger.claims)
