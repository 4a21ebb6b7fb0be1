"""The exporter's own settings, in addition to those of every service."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.exporter.partition import Limits
from services.runtime.process.settings import Settings


class ExportSettings(BaseModel):
    """Where the dataset goes, and when a part is closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: str = Field(default="build/dataset", description="The dataset: a folder, or an s3://, gs:// or az:// URL.")
    paths: bool = Field(
        default=True,
        description="Also write every judged path of ended cases, with the model's thinking from the ledger, as the "
        "table OUT/_paths.",
    )
    rows: Annotated[int, Field(ge=1)] = Field(default=5_000, description="Most rows of a part.")
    age_s: Annotated[float, Field(gt=0)] = Field(default=60, description="Seconds until an open part is committed.")
    buffer_bytes: Annotated[int, Field(ge=2**20)] = Field(
        default=128 * 2**20,
        description="Bytes in all open parts of both tables; a process needs up to five times as much.",
    )
    dead: Annotated[int, Field(ge=0)] = Field(
        default=100, description="More unreadable messages than this in one part stop the exporter."
    )

    @property
    def limits(self) -> Limits:
        """The limits for the partitions of a table."""
        tables = 2 if self.paths else 1
        return Limits(rows=self.rows, age_s=self.age_s, buffer_bytes=self.buffer_bytes // tables, dead=self.dead)


class ExporterSettings(Settings):
    """REASONMED_EXPORT__OUT and so on."""

    export: ExportSettings = ExportSettings()
