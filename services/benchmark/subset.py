"""A seeded subset of questions, with the shares of sets and subjects. Pure."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from services.benchmark.asking import Item
from services.core import ids
from services.core.shares import Stratum, shares


def subset(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """`size` of the items (all if there are fewer), in their order. Within a set and subject the draw depends on the
    questions and the seed alone."""
    by_stratum: defaultdict[Stratum, list[tuple[str, int]]] = defaultdict(list)
    for at, item in enumerate(items):
        place = hashlib.sha256(f"{seed} {ids.case_id(item.question)}".encode()).hexdigest()
        by_stratum[item.set, item.subject].append((place, at))
    sizes = shares(Counter({stratum: len(own) for stratum, own in by_stratum.items()}), size)
    drawn = {at for stratum, own in by_stratum.items() for _, at in sorted(own)[: sizes[stratum]]}
    return [item for at, item in enumerate(items) if at in drawn]
