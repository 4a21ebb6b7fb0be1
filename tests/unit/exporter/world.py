"""Records to export, and what a dataset holds."""

from pathlib import Path
from typing import Any

import orjson

from services.contracts.base import RecipeId
from services.contracts.case import Call, Score, Usage, Verdict
from services.contracts.codec import encode
from services.contracts.question import Question
from services.contracts.record import Record
from services.core import ids
from services.core.messages import ConsumedRecord

TOPIC = "record-completed"


def record(number: int, **changes: Any) -> Record:
    """A whole record; each number another one."""
    question = Question(
        question=f"Question {number}?",
        options={"A": "this", "B": "that"},
        answer="B",
        context=("a passage",),
        source="unit",
        id=str(number),
    )
    case_id = ids.case_id(question)
    recipe_id = RecipeId("recipe-" + "1" * 32)
    work_id = ids.work_id(case_id, recipe_id)
    path_id = ids.path_id(work_id, "generated", 0, 0)
    call = Call(
        call_id=ids.digest("call", number), stage="generate", alias="small", usage=Usage(prompt=9, completion=5)
    )
    made = Record(
        record_id=ids.record_id(work_id, path_id),
        work_id=work_id,
        case_id=case_id,
        recipe_id=recipe_id,
        life=0,
        index=0,
        of=1,
        question=question,
        difficulty="easy",
        gold_disputed=False,
        path_id=path_id,
        origin="generated",
        parents=(),
        alias="small",
        model="small@1",
        temperature=0.7,
        chain=f"Chain {number}.\nFinal answer: B",
        summary=f"Summary {number}.",
        verdict=Verdict(outcome="correct", reason="right", by="judge", judged="correct", stated="B"),
        score=Score(value=4, justification="good"),
        calls=(call,),
        usage={"generate": Usage(prompt=9, completion=5), "summarize": Usage(prompt=3, completion=2, cached=1)},
        cost={"generate": 0.25, "summarize": 0.5},
    )
    return made.with_(**changes)


def message(offset: int, what: Record | bytes, partition: int = 0) -> ConsumedRecord:
    """A record, or any bytes, as Kafka would give it."""
    if isinstance(what, bytes):
        return ConsumedRecord(TOPIC, partition, offset, b"key", what, {})
    return ConsumedRecord(TOPIC, partition, offset, what.case_id.encode(), encode(what), {})


def edited(what: Record, **changes: Any) -> bytes:
    """A record's bytes with fields of its JSON replaced."""
    return orjson.dumps(orjson.loads(encode(what)) | changes)


def record_ids(folder: Path) -> list[str]:
    """What the dataset holds, in its order."""
    from services.datasets.dataset import read_dataset  # not for benchmarks of the exporter's memory

    return [str(value) for value in read_dataset(folder)["record_id"].to_pylist()]
