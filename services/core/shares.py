"""The sizes of the strata of a sample. Pure."""

from collections.abc import Mapping

Stratum = tuple[str, str]
"""What a population is divided by, such as source and subject."""


def shares(counts: Mapping[Stratum, int], size: int) -> dict[Stratum, int]:
    """The size of each stratum's sample: in proportion, by the largest-remainder method."""
    total = sum(counts.values())
    if size >= total:
        return dict(counts)
    given = {stratum: size * count // total for stratum, count in counts.items()}
    left = size - sum(given.values())
    for stratum in sorted(counts, key=lambda stratum: (-(size * counts[stratum] % total), stratum))[:left]:
        given[stratum] += 1
    return given
