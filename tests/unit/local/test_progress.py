"""How far a run is, from messages alone."""

import json

from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.core.messages import ConsumedRecord
from services.local.progress import FOLLOWED, Progress


def message(topic: str, case: str, body: object = None, letter: DeadLetter | None = None) -> ConsumedRecord:
    headers = {DEAD_LETTER_HEADER: encode(letter)} if letter else {}
    return ConsumedRecord(topic, 0, 0, case.encode(), json.dumps(body or {}).encode(), headers)


def record(case: str, index: int, of: int, record_id: str) -> ConsumedRecord:
    body = {"record_id": record_id, "work_id": f"work of {case}", "life": 0, "index": index, "of": of}
    return message("record-completed", case, body)


def letter(topic: str) -> DeadLetter:
    return DeadLetter(service="s", kind="defect", error="e", attempts=1, topic=topic, partition=0, offset=0)


def test_a_case_has_ended_with_the_last_of_its_records_and_repeats_count_once() -> None:
    progress = Progress()
    for case in ("one", "two"):
        progress.take(message("question-submitted", case))
        progress.take(message("question-submitted", case))
    progress.take(record("one", 0, 2, "r0"))
    progress.take(record("one", 0, 2, "r0"))
    assert progress.ends == {}
    progress.take(record("one", 1, 2, "r1"))
    assert progress.ends == {"one": "accepted"}
    assert progress.counts() == {"question-submitted": 2, "record-completed": 1}
    assert progress.records == {"r0", "r1"}


def test_rejected_and_dead_cases_have_ended_and_a_dead_record_has_not_ended_its_case() -> None:
    progress = Progress()
    progress.take(message("case-rejected", "one"))
    progress.take(message("verifier-dead", "two", letter=letter("paths-generated")))
    progress.take(message("router-dead", "three", letter=letter("question-submitted")))
    progress.take(message("exporter-dead", "four", letter=letter("record-completed")))
    progress.take(message("question-refused", "five"))
    assert progress.ends == {"one": "rejected", "two": "dead", "three": "dead", "five": "refused"}
    assert dict(progress.by_end()) == {"rejected": 1, "dead": 2, "refused": 1}
    assert progress.dead_letters == 3


def test_unreadable_messages_count_by_key_and_end_nothing() -> None:
    progress = Progress()
    progress.take(ConsumedRecord("record-completed", 0, 0, b"one", b"?", {}))
    progress.take(message("record-completed", "two", ["no record"]))
    progress.take(message("verifier-dead", "three"))
    progress.take(ConsumedRecord("paths-generated", 0, 0, None, None, {}))
    assert progress.ends == {}


def test_open_cases_name_their_last_topic() -> None:
    progress = Progress()
    for topic in ("paths-verified", "question-submitted", "paths-generated"):
        progress.take(message(topic, "one"))
    progress.take(message("case-rejected", "two"))
    assert progress.open(["one", "two", "three"]) == {"one": "paths-verified", "three": "nowhere"}
    assert "recipes" not in FOLLOWED
