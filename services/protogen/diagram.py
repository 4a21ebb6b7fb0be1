"""The stream as a mermaid flowchart of services and topics."""

from collections.abc import Iterable, Iterator

from services.contracts.topics import Topic

_DEAD = "SERVICE-dead"
"""One node for all topics of dead letters: separate nodes would hide the rest."""


def flowchart(topics: Iterable[Topic]) -> str:
    """Services as boxes, topics as rounded nodes; dotted lines for dead letters and compacted topics."""
    topics = list(topics)
    services = dict.fromkeys(name for topic in topics for name in (*topic.written_by, *topic.read_by))
    lines = [f"{_node(name)}[{name}]" for name in services]
    lines += dict.fromkeys(f"{_node(_drawn(topic))}([{_drawn(topic)}])" for topic in topics)
    lines += dict.fromkeys(line for topic in topics for line in _lines(topic))
    return "\n".join(["flowchart LR", *(f"    {line}" for line in lines)])


def _lines(topic: Topic) -> Iterator[str]:
    here = _node(_drawn(topic))
    dotted = topic.compacted or _is_dead(topic)
    arrow = "-.->" if dotted else "-->"
    label = f"|{topic.group}|" if topic.group else ""
    yield from (f"{_node(writer)} {arrow} {here}" for writer in topic.written_by)
    yield from (f"{here} {arrow}{label} {_node(reader)}" for reader in topic.read_by)


def _is_dead(topic: Topic) -> bool:
    return topic.message == "dead_letter"


def _drawn(topic: Topic) -> str:
    return _DEAD if _is_dead(topic) else topic.name


def _node(name: str) -> str:
    """A valid mermaid id: mermaid uses hyphens for arrows."""
    return name.replace("-", "_")
