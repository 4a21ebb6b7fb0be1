"""A newcomer as services/ledger/lua/admit.lua takes it."""

import math
from collections.abc import Iterator

from services.contracts.codec import canonical
from services.core.dedupe.minhash import BYTES, OPTIONS, OPTIONS_ALIKE, WHOLE, Newcomer


def arguments(case_id: str, newcomer: Newcomer, *, anyway: bool) -> Iterator[str | bytes | int]:
    """The script's arguments from the fifth on. It counts equal numbers, so thresholds are told as counts; one that
    nothing reaches lets everything in."""
    yield case_id
    yield BYTES
    yield WHOLE
    yield WHOLE + 1 if anyway else math.ceil(newcomer.threshold * WHOLE)
    yield math.ceil(OPTIONS_ALIKE * OPTIONS)
    yield newcomer.sketch.signature
    yield canonical({"id": newcomer.id, "text": newcomer.text})
    yield from newcomer.sketch.bands
