"""The contract's own layout; unknown fields are kept. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from services.contracts.question import LETTERS
from services.importers.layouts.named import ANSWERS, FALLBACKS, norm
from services.importers.names import OURS
from services.importers.rows import Fields, Unfit, contract

_OTHERS = frozenset((*ANSWERS, *FALLBACKS)) - {"answer"}
_LETTERS = frozenset(LETTERS)
_TEXTS = ("id", "source", "subject")


class Ours:
    """Rows in the form of the contract."""

    name = OURS
    about = "our own form: question, options by letter, answer a letter"
    specific = False

    def may_have(self, names: tuple[Any, ...]) -> bool:
        """Whether a row with these names may have this layout."""
        return _is_ours(names)

    def has_fields(self, row: Any) -> bool:
        """Whether the row has the contract's fields, and no other field with an answer."""
        return self.asks(row) and "answer" in row

    def asks(self, row: Any) -> bool:
        """Whether the row has question and options in the contract's form."""
        return (
            isinstance(row, Mapping)
            and isinstance(row.get("options"), Mapping)
            and _is_ours(tuple(row))
            and (not isinstance(row["question"], Mapping | list))
        )

    def recognises(self, row: Any) -> bool:
        """Whether `parse` succeeds for the row."""
        if not self.has_fields(row):
            return False
        answer = row["answer"]
        return _is_whole(row) and isinstance(answer, str) and answer in row["options"]

    def parse(self, row: Any) -> Fields:
        """Parse a row to a question. Raises Unfit if another layout may fit."""
        if not self.recognises(row):
            raise Unfit("row", "is not in the contract's form")
        return contract(row)

    def unanswered(self, row: Any) -> Fields:
        """Parse a row without its answer. Raises Unfit if another layout may fit."""
        if not self.asks(row) or not _is_whole(row):
            raise Unfit("row", "is not in the contract's form")
        return {**contract(row), "answer": "A"}


@lru_cache(maxsize=1024)
def _is_ours(names: tuple[Any, ...]) -> bool:
    return "question" in names and not any(norm(name) in _OTHERS for name in names)


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether question, options and field names are texts."""
    options = row["options"]
    if not all(name in _LETTERS for name in options):
        return False
    if not isinstance(row["question"], str) or not all(isinstance(row.get(name) or "", str) for name in _TEXTS):
        return False
    return bool(options) and all(isinstance(text, str) and text and not text.isspace() for text in options.values())
