"""How far partitions are whose messages are carried one after the other. Pure: what Faust says of its own offsets isn't
believed, so that nothing that it loses is ever committed."""

from dataclasses import dataclass, field

from services.runtime.engine.source import TopicPartition


@dataclass
class Place:
    """Where a partition stands in one generation of the group: all that is below `next` has ended."""

    generation: int
    next: int


@dataclass
class Places:
    """The places of all partitions that were read, by partition."""

    _places: dict[TopicPartition, Place] = field(default_factory=dict)

    def of(self, partition: TopicPartition, generation: int) -> Place | None:
        """The place of this generation; None where the partition has only just been assigned (again)."""
        place = self._places.get(partition)
        return place if place is not None and place.generation == generation else None

    def begin(self, partition: TopicPartition, generation: int, offset: int) -> Place:
        """The partition is ours from here on."""
        place = self._places[partition] = Place(generation, offset)
        return place

    def finished(self, partition: TopicPartition, generation: int, offset: int) -> bool:
        """Note a message's end. Whether it may be acknowledged: not where the partition was handed out anew meanwhile.
        Whoever has it now, reads the message again."""
        place = self.of(partition, generation)
        if place is None or offset < place.next:
            return False
        place.next = offset + 1
        return True
