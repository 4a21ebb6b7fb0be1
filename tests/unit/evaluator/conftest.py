"""Records as a dataset holds them, and items drawn from them."""

from collections.abc import Callable, Sequence

import pytest

from services.contracts.codec import encode
from services.contracts.record import Record
from services.core.messages import ConsumedRecord
from services.evaluator.sample import Item, Read
from services.exporter.rows import export
from tests.unit.exporter.world import record


@pytest.fixture
def parts() -> Callable[..., Read]:
    """A reader of records in so many batches, as the exporter writes them."""

    def reader(records: Sequence[Record], count: int = 1) -> Read:
        rows = [
            export(ConsumedRecord("record-completed", 0, at, made.case_id.encode(), encode(made), {})).rows[0]
            for at, made in enumerate(records)
        ]
        return lambda columns: [
            [{name: row[name] for name in columns} for row in rows[number::count]] for number in range(count)
        ]

    return reader


@pytest.fixture
def item_of() -> Callable[..., Item]:
    def make(number: int = 0, difficulty: str = "easy", model: str = "small@1") -> Item:
        made = record(number)
        return Item(
            record_id=made.record_id,
            case_id=made.case_id,
            index=0,
            question=made.question,
            chain=made.chain,
            summary=made.summary,
            difficulty=difficulty,
            model=model,
        )

    return make
