"""The record ids of a partition that the topic may still repeat, with digests, in 16 bytes each."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

UNKNOWN = 0
"""The digest of a row from an exporter of another contract version, which cannot be compared."""
_Numbers = npt.NDArray[np.int64]
MERGE = 10_000
"""Recent ids that are kept in a dict before they are merged into the arrays."""


class Known:
    """A map from record id (its first 64 bits) to content digest.

    Among 5 million ids, two share 64 bits with a probability of 10**-6. The later record then counts as a differing
    repeat, which is logged.
    """

    def __init__(self) -> None:
        self._keys: _Numbers = np.empty(0, dtype=np.int64)
        self._digests: _Numbers = np.empty(0, dtype=np.int64)
        self._recent: dict[int, int] = {}
        self._loading: list[tuple[_Numbers, _Numbers]] = []

    def __len__(self) -> int:
        return len(self._keys) + len(self._recent)

    def add(self, key: bytes, digest: int) -> None:
        """Add an id."""
        self._recent[_short(key)] = digest
        if len(self._recent) >= MERGE:
            self._merge()

    def load(self, keys: Iterable[bytes], digests: Iterable[int]) -> None:
        """Add many. They are found after `loaded`."""
        self._loading.append((np.fromiter(map(_short, keys), np.int64), np.fromiter(digests, np.int64)))

    def loaded(self) -> None:
        """Make what was loaded known. Loading in between takes 16 bytes an id, and no sorting."""
        keys, digests = zip((self._keys, self._digests), *self._loading, strict=True)
        self._loading.clear()
        self._sort(np.concatenate(keys), np.concatenate(digests))

    def get(self, key: bytes) -> int | None:
        """The digest of an id; None if it is unknown."""
        short = _short(key)
        if (digest := self._recent.get(short)) is not None:
            return digest
        at = int(np.searchsorted(self._keys, short))
        found = at < len(self._keys) and int(self._keys[at]) == short
        return int(self._digests[at]) if found else None

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, np.fromiter(self._recent.keys(), np.int64, len(self._recent))])
        digests = np.concatenate([self._digests, np.fromiter(self._recent.values(), np.int64, len(self._recent))])
        self._recent.clear()
        self._sort(keys, digests)

    def _sort(self, keys: _Numbers, digests: _Numbers) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._digests = keys[order], digests[order]


def _short(key: bytes) -> int:
    return int.from_bytes(key[:8], "big", signed=True)
