"""Small made-up streams, and what SQL makes of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from services.contracts.base import Message
from services.contracts.case import Call, Case, Path, Stage, Usage
from services.contracts.codec import encode
from services.contracts.recipe import Recipe
from services.contracts.topics import RECIPES
from services.core import ids
from services.core.messages import ConsumedRecord
from services.taps.database import Tables, database, query

Said = tuple[str, Message]
"""A topic and a message in it."""


def message(topic: str, said: Message, *, offset: int = 0) -> ConsumedRecord:
    key = ids.recipe_id(said) if isinstance(said, Recipe) else str(getattr(said, "case_id", ""))
    return ConsumedRecord(topic, 0, offset, key.encode(), encode(said), {}, timestamp_ms=1_767_225_600_000 + offset)


@contextmanager
def tables(said: Iterable[Said | ConsumedRecord]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of these messages, in this order."""
    with database() as db:
        loading = Tables(db)
        for offset, each in enumerate(said):
            loading.take(each if isinstance(each, ConsumedRecord) else message(*each, offset=offset))
        loading.finish()
        yield db


def ask(said: Iterable[Said | ConsumedRecord], sql: str) -> list[dict[str, Any]]:
    """The rows of a query over these messages."""
    with tables(said) as db:
        result = query(db, sql)
        return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def of(recipe: Recipe) -> Said:
    return RECIPES, recipe


def call(name: int, stage: Stage, alias: str = "one", prompt: int = 1_000_000, completion: int = 0) -> Call:
    """A paid call: a million prompt tokens, so that it costs its model's price_in."""
    return Call(
        call_id=f"call-{name:032x}", stage=stage, alias=alias, usage=Usage(prompt=prompt, completion=completion)
    )


def with_paths(case: Case, *paths: Path, **changes: Any) -> Case:
    return case.with_(paths=tuple(paths), **changes)
