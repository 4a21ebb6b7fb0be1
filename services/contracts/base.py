"""The base of every message: frozen, strict about known fields, tolerant of unknown ones."""

from typing import Annotated, Any, NewType, Self

from pydantic import BaseModel, ConfigDict, Field

VERSION = "1.2"
"""The version that this code writes: `major.minor`. A reader accepts every minor of its own major."""

MAJOR = 1


def newer(one: str, other: str) -> str:
    """The newer of two versions of the same major."""
    return max(one, other, key=lambda version: int(version.split(".")[1]))


CaseId = NewType(
    "CaseId",
    Annotated[
        str,
        Field(
            pattern=r"^case-[0-9a-f]{32}$",
            description="Digest of the normalised question, including gold answer and context.",
        ),
    ],
)
WorkId = NewType(
    "WorkId", Annotated[str, Field(pattern=r"^work-[0-9a-f]{32}$", description="Digest of case id and recipe id.")]
)
PathId = NewType(
    "PathId",
    Annotated[str, Field(pattern=r"^path-[0-9a-f]{32}$", description="Digest of work id, origin, round and slot.")],
)
CallId = NewType(
    "CallId",
    Annotated[
        str,
        Field(pattern=r"^call-[0-9a-f]{32}$", description="Digest of the exact request and the ask number."),
    ],
)
RecordId = NewType(
    "RecordId", Annotated[str, Field(pattern=r"^record-[0-9a-f]{32}$", description="Digest of work id and path id.")]
)
RecipeId = NewType(
    "RecipeId", Annotated[str, Field(pattern=r"^recipe-[0-9a-f]{32}$", description="Digest of the whole recipe.")]
)
Version = Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$", description="major.minor of the writer's schema")]


class Value(BaseModel):
    """A part of a message. Frozen; unknown fields are preserved and written back."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    def with_(self, **changes: Any) -> Self:
        """Return a copy with some fields replaced; unknown fields are kept. Not validated: callers pass typed
        values."""
        return self.model_copy(update=changes)


class Message(Value):
    """A message of a topic. It carries the schema version of its writer."""

    version: Version = Field(default=VERSION)
