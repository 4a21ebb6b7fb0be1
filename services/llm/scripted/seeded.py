"""Deterministic pseudo-random choices: functions of the seed and the request, not of order or time."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def fraction(*parts: object) -> float:
    """A number in [0, 1) that these parts always give."""
    key = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest()) / 2**48


def pick(options: Sequence[T], *parts: object) -> T:
    """One of the options, always the same for these parts."""
    return options[int(fraction(*parts) * len(options))]


def text_digest(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of a text without the white space around it: how the log names texts."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]
