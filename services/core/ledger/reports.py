"""What workers say about the models that they call, for whoever watches the stream.

No worker has to be reached for it, or known by its address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["away", "slow"]


@dataclass(frozen=True)
class ModelReport:
    """What is wrong with a model alias, as one worker sees it."""

    alias: str
    kind: Kind
    """away: it takes no calls. slow: a call is far older than others took, so its server may hang."""
    why: str
    """One sentence, without a full stop."""


class ModelReports(Protocol):
    """The reports of all workers. A worker that died reports nothing after `for_s` seconds."""

    async def report(self, owner: str, found: Sequence[ModelReport], *, for_s: float) -> None:
        """Replace the worker's reports, at most one for each alias; none: all its models are well."""
        ...

    async def reported(self) -> Mapping[str, ModelReport]:
        """By alias, what any worker reports now: away before slow, and of two alike the one of the owner that sorts
        first."""
        ...


def worst(reports: Sequence[tuple[str, ModelReport]]) -> dict[str, ModelReport]:
    """By alias, the one report that `ModelReports.reported` gives, of all with their owners."""
    found: dict[str, ModelReport] = {}
    for _, report in sorted(reports, key=lambda each: (each[1].kind, each[0])):
        found.setdefault(report.alias, report)
    return dict(sorted(found.items()))
