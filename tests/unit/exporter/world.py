"""Records to export, a disk that fails at a given step, and what a dataset holds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from services.contracts.case import Call, Score, Usage, Verdict
from services.contracts.codec import encode
from services.contracts.question import Question
from services.contracts.record import Record
from services.core.case import ids
from services.core.messages import ConsumedRecord
from services.exporter.dataset import read_dataset
from services.exporter.disk import Disk

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
    recipe_id = "recipe-" + "1" * 32
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
    return [str(value) for value in read_dataset(folder)["record_id"].to_pylist()]


class Crash(BaseException):
    """The process dies. Not an Exception: nothing in the code under test may get to handle it."""


class CrashingDisk(Disk):
    """Dies at step `at` (from 0), before it, or halfway through where it is a write."""

    def __init__(self, at: int, how: Callable[[], BaseException] = Crash) -> None:
        self.left = at
        self.how = how
        self.steps: list[str] = []

    def write(self, path: Path, fill: Callable[[BinaryIO], None]) -> None:
        def half(file: BinaryIO) -> None:
            fill(file)
            file.truncate(file.tell() // 2)
            raise self.how()

        if self._dies("write"):
            super().write(path, half)
        super().write(path, fill)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")
        super().sync_folder(folder)

    def remove(self, path: Path) -> None:
        self._step("remove")
        super().remove(path)

    def _step(self, name: str) -> None:
        if self._dies(name):
            raise self.how()

    def _dies(self, name: str) -> bool:
        self.steps.append(name)
        self.left -= 1
        return self.left == -1


class PowerCutDisk(CrashingDisk):
    """Dies as above, and the power goes too: names that were not synced are as they were before (the worst that a
    file system may do)."""

    def __init__(self, at: int, aside: Path) -> None:
        super().__init__(at)
        self._aside = aside
        self._unsynced: list[tuple[Path, Path, Path | None]] = []

    def rename(self, source: Path, target: Path) -> None:
        before = None
        if target.exists():
            before = self._aside / f"{len(self.steps)}-{target.name}"
            self._aside.mkdir(exist_ok=True)
            shutil.copy(target, before)
        super().rename(source, target)
        self._unsynced.append((source, target, before))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self._unsynced.clear()

    def cut(self) -> None:
        """The power is back: this is what the disk holds."""
        for source, target, before in reversed(self._unsynced):
            target.rename(source)
            if before is not None:
                shutil.copy(before, target)
