"""A seeded, stratified sample of a dataset's records."""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from services.contracts.base import CaseId, RecordId
from services.contracts.question import Question
from services.core.shares import Stratum, shares

_TEXTS = ["case_id", "record_index", "question", "options", "answer", "context", "chain", "summary"]
_STRATA = ["record_id", "difficulty", "model"]


@dataclass(frozen=True)
class Item:
    """The fields of a record that an evaluator needs."""

    record_id: RecordId
    case_id: CaseId
    index: int
    """Its index among the records of its case."""
    question: Question
    chain: str
    summary: str
    difficulty: str
    model: str


Read = Callable[[list[str]], Iterable[list[dict[str, Any]]]]
"""Reads columns of a dataset, in batches of rows."""


def draw(read: Read, size: int, seed: int) -> list[Item]:
    """Draw `size` records of a dataset (all if it has fewer), ordered by record id.

    Stratified in proportion by difficulty and model, so that a plain mean estimates the mean of the dataset. The draw
    within a stratum depends on record ids and the seed alone: a larger sample contains a smaller one, except for at
    most one record per stratum, so enlarging a sample pays only for the new records. Reads the dataset twice, in
    batches.
    """
    counts, ranked = _ranked(read, size, seed)
    drawn = {record_id for stratum, share in shares(counts, size).items() for _, record_id in ranked[stratum][:share]}
    rows = chain.from_iterable(read([*_STRATA, *_TEXTS]))
    items = {row["record_id"]: _item(row) for row in rows if row["record_id"] in drawn}
    return sorted(items.values(), key=lambda item: item.record_id)


def _ranked(read: Read, size: int, seed: int) -> tuple[Counter[Stratum], dict[Stratum, list[tuple[str, str]]]]:
    """The size of each stratum, and its first records in the order of the seed, at most `size`."""
    counts = Counter[Stratum]()
    first: defaultdict[Stratum, list[tuple[str, str]]] = defaultdict(list)
    for batch in read(_STRATA):
        new: defaultdict[Stratum, list[tuple[str, str]]] = defaultdict(list)
        for row in batch:
            place = hashlib.sha256(f"{seed} {row['record_id']}".encode()).hexdigest()
            new[row["difficulty"], row["model"]].append((place, row["record_id"]))
        for stratum, records in new.items():
            counts[stratum] += len(records)
            first[stratum] = heapq.nsmallest(size, chain(first[stratum], records))
    return counts, first


def _item(row: Mapping[str, Any]) -> Item:
    question = Question(
        question=row["question"],
        options={option["letter"]: option["text"] for option in row["options"]},
        answer=row["answer"],
        context=tuple(row["context"]),
    )
    return Item(
        record_id=row["record_id"],
        case_id=row["case_id"],
        index=row["record_index"],
        question=question,
        chain=row["chain"],
        summary=row["summary"],
        difficulty=row["difficulty"],
        model=row["model"],
    )
