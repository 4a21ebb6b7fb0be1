"""The router's own settings, beside those of every service."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.core.dedupe.minhash import LEAST
from services.runtime.process.settings import Settings


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


Share = Annotated[float, Field(ge=LEAST, le=1)]


class Admission(BaseModel):
    """Which questions are refused before any model is paid for them. Both checks are off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    evaluation_index: Annotated[Path | None, BeforeValidator(_blank_is_none)] = None
    """A file that `reasonmed index` wrote: questions of these sets are refused."""
    near_duplicates: Annotated[Share | None, BeforeValidator(_blank_is_none)] = None
    """Share of word pairs in common with an admitted question, from 0.7 to 1, from which on a question is refused.
    0.85 works well."""


class RouterSettings(Settings):
    """REASONMED_ADMISSION__EVALUATION_INDEX and so on."""

    admission: Admission = Admission()
