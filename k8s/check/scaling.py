"""Rules of scaling: signals that exist, pods that have work, and no zero that forgets where it was."""

import re
from collections.abc import Iterator

from k8s.check.chart import Object, Stream, named, readers, topics_of
from services.contracts.topics import topics

FORBIDDEN = {"excludePersistentLag": "a stuck case would hide the others", "scaleToZeroOnInvalidOffset": "work waits"}
LOCATION = re.compile(r"groups\.(?P<group>[a-z-]+)\.left|models\.(?P<alias>[a-z0-9-]+)\.(wanted|ahead)")


def signals(stream: Stream) -> Iterator[str]:
    """Each trigger asks for a topic, a group, an alias that exists."""
    for obj in stream.of_kind("ScaledObject"):
        for trigger in obj["spec"]["triggers"]:
            where, metadata = f"{named(obj)}: the trigger {trigger.get('name')}", trigger["metadata"]
            if trigger["type"] == "kafka":
                yield from _kafka(where, metadata)
            elif trigger["type"] == "metrics-api":
                yield from _scale(stream, where, metadata)


def _kafka(where: str, metadata: Object) -> Iterator[str]:
    topic, group = metadata.get("topic", ""), metadata["consumerGroup"]
    if topic not in topics():
        yield f"{where}: {topic or 'no topic'} is not in proto/topics.yaml: name one of its topics"
    elif group not in readers(topic):
        yield f"{where}: the group {group} does not read {topic}: it is read by {', '.join(readers(topic))}"
    if metadata.get("offsetResetPolicy") != "earliest":
        yield f"{where}: set offsetResetPolicy: earliest, as the services do, or a new group has no lag"
    for key, why in FORBIDDEN.items():
        if metadata.get(key) == "true":
            yield f"{where}: leave out {key}: {why}"


def _scale(stream: Stream, where: str, metadata: Object) -> Iterator[str]:
    location = LOCATION.fullmatch(metadata["valueLocation"])
    if location is None:
        given = metadata["valueLocation"]
        yield f"{where}: valueLocation {given}: /scale has groups.GROUP.left, models.ALIAS.wanted, models.ALIAS.ahead"
    elif (group := location["group"]) and group not in (*_groups(), "monitor"):
        yield f"{where}: valueLocation names the group {group}: none of {', '.join(_groups())}, monitor"
    elif (alias := location["alias"]) and alias not in stream.pools:
        yield f"{where}: valueLocation names the alias {alias}: none of {', '.join(stream.pools)}"
    if (metadata.get("aggregateFromKubeServiceEndpoints"), metadata.get("aggregationType")) != ("true", "max"):
        yield f"{where}: set aggregateFromKubeServiceEndpoints: true and aggregationType: max, or one monitor decides"


def sizes(stream: Stream) -> Iterator[str]:
    """Not more pods than partitions; zero only where offsets outlive messages; a way back from zero."""
    partitions, kept = stream.values["kafka"]["partitions"], stream.values["kafka"]["offsetsRetentionDays"]
    for obj in stream.of_kind("ScaledObject"):
        group = obj["metadata"]["labels"]["app.kubernetes.io/component"]
        read, least, most = topics_of(group), obj["spec"]["minReplicaCount"], obj["spec"]["maxReplicaCount"]
        if read and most > partitions:
            yield f"{named(obj)}: maxReplicaCount {most} is more than its topics' {partitions} partitions: lower it"
        for topic in read if least == 0 else ():
            days = topics()[topic].retention_days or 0
            if kept < days:
                yield (
                    f"{named(obj)}: minReplicaCount is 0, but offsets expire after {kept} days and {topic} keeps "
                    f"messages for {days}: set 1"
                )
        if least == 0 and not any(trigger["type"] == "kafka" for trigger in obj["spec"]["triggers"]):
            yield f"{named(obj)}: goes to zero, and only a monitor could wake it: add a kafka trigger"
        if "fallback" in obj["spec"] and obj["spec"]["fallback"].get("behavior") != "currentReplicasIfHigher":
            yield f"{named(obj)}: set fallback.behavior: currentReplicasIfHigher, or a lost monitor takes pods away"


def _groups() -> list[str]:
    return sorted({group for topic in topics().values() if not topic.compacted for group in readers(topic.name)})
