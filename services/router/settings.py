"""The router's own settings, beside those of every service."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.core.dedupe.minhash import LEAST
from services.runtime.process.settings import Settings


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


Share = Annotated[float, Field(ge=LEAST, le=1)]


class Admission(BaseModel):
    """Which questions are refused before any model is paid for them. All checks are off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    evaluation_index: Annotated[Path | None, BeforeValidator(_blank_is_none)] = None
    """A file that `reasonmed index` wrote: questions of these sets are refused."""
    near_duplicates: Annotated[Share | None, BeforeValidator(_blank_is_none)] = None
    """Share of word pairs in common with an admitted question, from 0.7 to 1, from which on a question is refused.
    0.85 works well."""
    personal_data: Annotated[Literal["flag", "refuse"] | None, BeforeValidator(_blank_is_none)] = None
    """What is done with a question that holds an e-mail address, a phone, social security or record number, a date of
    birth or a street address: `flag` admits, counts and logs it; `refuse` rejects it. Needs the extra `privacy`."""


class RouterSettings(Settings):
    """REASONMED_ADMISSION__EVALUATION_INDEX and so on."""

    admission: Admission = Admission()
