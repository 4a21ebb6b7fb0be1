"""Any number of generated questions, sufficient for a scripted model server."""

from collections.abc import Iterator

from services.contracts.question import LETTERS, Question

_SIGNS = (
    "fever",
    "cough",
    "rash",
    "jaundice",
    "syncope",
    "weight loss",
    "back pain",
    "palpitations",
    "tremor",
    "thirst",
)
_FINDINGS = ("anaemia", "a murmur", "raised creatinine", "low sodium", "a nodule", "lymphocytosis", "proteinuria")


def questions(count: int, *, first: int = 1) -> Iterator[Question]:
    """Different questions, numbered from `first`."""
    for number in range(first, first + count):
        sign, other = _SIGNS[number % len(_SIGNS)], _SIGNS[(number // 10 + 3) % len(_SIGNS)]
        finding = _FINDINGS[number % len(_FINDINGS)]
        yield Question(
            question=f"Patient {number}, aged {20 + number % 60}, has had {sign} and {other} for {1 + number % 9} "
            f"weeks, and shows {finding}. Which step comes next?",
            options={letter: f"Step {letter} for {sign} with {finding}" for letter in LETTERS[: 3 + number % 3]},
            answer=LETTERS[number % 3],
            source="chaos",
            id=f"chaos:{number}",
        )
