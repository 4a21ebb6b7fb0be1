"""Dead letters of the tests' cases."""

from typing import Any

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.dead import DeadKind, DeadLetter
from services.contracts.question import Submission
from services.contracts.topics import PATHS_VERIFIED
from services.core.messages import OutgoingRecord
from services.deadletters.redrive import Letter
from tests.strategies import case


def letter(
    value: bytes, topic: str = PATHS_VERIFIED, kind: DeadKind = "defect", offset: int = 7, key: bytes | None = None
) -> Letter:
    reason = DeadLetter(service="x", kind=kind, error="e", attempts=1, topic=topic, partition=3, offset=offset)
    return Letter(
        reason, OutgoingRecord(topic, case().case_id.encode() if key is None else key, value, {"trace": b"1"})
    )


def of(dead: Case | Submission, topic: str = PATHS_VERIFIED, **fields: Any) -> Letter:
    return letter(encode(dead), topic, key=dead.case_id.encode(), **fields)
