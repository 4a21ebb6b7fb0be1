"""Records as a dataset's parts hold them, and items drawn from them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from services.contracts.codec import encode
from services.contracts.record import Record
from services.core.messages import ConsumedRecord
from services.evaluator.sample import Item
from services.exporter.disk import Disk
from services.exporter.part import write_part
from services.exporter.rows import export
from tests.unit.exporter.world import record


@pytest.fixture
def parts(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write records as so many parts, by the exporter's own code."""

    def write(records: Sequence[Record], count: int = 1) -> list[Path]:
        paths = []
        for number in range(count):
            rows = [
                export(ConsumedRecord("record-completed", 0, at, made.case_id.encode(), encode(made), {})).row
                for at, made in enumerate(records[number::count])
            ]
            paths.append(tmp_path / f"part-{number}.parquet")
            write_part(Disk(), paths[-1], rows)
        return paths

    return write


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
