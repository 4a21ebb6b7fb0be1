"""What the monitor costs a message: `python tests/bench/bench_monitor.py` prints JSON.

The messages are those of whole cases as the stream writes them: five cases of nine paths (each path of 2,000
characters), the question and two records. Each is noted in the store, as services/monitor does, with its attempt in
the ledger opened and forgotten, as `RecordProcessor` does. CPU and wall milliseconds a message, and messages a
second; one at a time, and for the twelve topics at once, as the monitor reads them. `parsing alone` is without any
store; `a case on the wire` in bytes. Kafka's client is not in it.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Submission
from services.contracts.record import Record
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_MEDIUM,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core.messages import ConsumedRecord, Position
from services.ledger import open_ledger, open_status_store
from services.monitor.events import case_event
from services.monitor.handler import CaseRecorder
from services.protogen.examples import examples
from tests.laws.conftest import ValkeyProcess

CASES = 400
OWNER = "bench-monitor-1-00"
TOPICS = (QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED, CASE_MEDIUM, CASE_ACCEPTED)
AT_ONCE = 12


def main() -> None:
    found = list(messages())
    figures: dict[str, Any] = {
        "a case on the wire": max(len(message.value or b"") for message in found),
        "parsing alone": measured(len(found), lambda: parsed(found)),
    }
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # on a disk: /tmp may be memory
        for workers in (1, AT_ONCE):
            url = f"sqlite://{folder}/{workers}.sqlite"
            figures[f"sqlite, {workers} at once"] = measured(len(found), of_store(url, found, workers))
        with valkey() as url:
            for workers in (1, AT_ONCE):
                figures[f"valkey, {workers} at once"] = measured(len(found), of_store(url, found, workers))
    print(json.dumps(figures, indent=2))


def messages() -> Iterator[ConsumedRecord]:
    known = examples()
    case, submission, record = known["case"], known["submission"], known["record"]
    assert isinstance(case, Case)
    assert isinstance(submission, Submission)
    assert isinstance(record, Record)
    path = case.paths[0].with_(text="so " * 667)
    case = case.with_(paths=tuple(path.with_(path_id=f"path-{number:032x}") for number in range(9)))
    for number in range(CASES):
        name = {"case_id": f"{case.case_id[:-6]}{number:06x}"}
        yield message(number, QUESTION_SUBMITTED, submission.with_(**name))
        for topic in TOPICS:
            yield message(number, topic, case.with_(**name))
        for index in range(2):
            yield message(2 * number + index, RECORD_COMPLETED, record.with_(**name, index=index, of=2))


def message(offset: int, topic: str, body: Any) -> ConsumedRecord:
    return ConsumedRecord(topic, 0, offset, body.case_id.encode(), encode(body), {}, int(time.time() * 1000))


async def parsed(found: list[ConsumedRecord]) -> None:
    for each in found:
        case_event(each)


def of_store(url: str, found: list[ConsumedRecord], workers: int) -> Callable[[], Coroutine[Any, Any, None]]:
    async def run() -> None:
        async with open_ledger(url) as ledger, open_status_store(url) as statuses:
            noting = CaseRecorder(statuses, ledger.budgets.settle)

            async def work(mine: list[ConsumedRecord]) -> None:
                for each in mine:
                    place = Position(each.topic, each.partition, each.offset)
                    await ledger.attempts.open_attempt("monitor", place, owner=OWNER)
                    await noting(each)
                    await ledger.attempts.forget_attempts("monitor", place)

            await asyncio.gather(*(work(found[number::workers]) for number in range(workers)))

    return run


def measured(count: int, run: Callable[[], Coroutine[Any, Any, None]]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(run())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": round(1e3 * cpu / count, 3), "wall_ms": round(1e3 * wall / count, 3), "a_s": round(count / wall)}


@contextmanager
def valkey() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyProcess(Path(folder))
        try:
            yield server.url
        finally:
            server.stop()


if __name__ == "__main__":
    main()
