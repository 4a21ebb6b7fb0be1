"""A sticky assignor of one consumer's own."""

from collections.abc import Callable
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyPartitionAssignor,
)


def sticky(generation: Callable[[], int]) -> type:
    """An assignor class. aiokafka's own keeps its state in the class, where two consumers mix their claims, and never
    learns generations, without which a returning member's old claims weigh as much as new ones."""

    class Sticky(StickyPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:
            super().on_assignment(assignment)
            cls.generation = generation()

    return Sticky
