"""What needs an operator, from the latest inputs. Pure: the monitor publishes it with the figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from services.core.ledger.reports import ModelReport
from services.core.status.figures import Problem, TopicFigures
from services.monitor.groups import GroupSign

DISK_BYTES = 2**30
"""Free bytes of the disk with the ledger below which it is named: Kafka and SQLite stop where they can't write."""

STUCK_S = 86_400.0
"""Seconds at one topic after which a case is stuck, as in deploy/prometheus. Questions that wait for admission are not:
a budget or a backlog holds them."""

WAITS_FOR_ADMISSION = "question-submitted"


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What the problems follow from."""

    circuits: Mapping[str, str] = field(default_factory=dict)
    """Why, by consumer group, of the open ones."""
    models: Mapping[str, ModelReport] = field(default_factory=dict)
    """What workers report, by alias."""
    groups: Mapping[str, GroupSign] = field(default_factory=dict)
    budget_stopped: bool = False
    topics: tuple[TopicFigures, ...] = ()
    calls_under_way: Mapping[str, int] = field(default_factory=dict)
    """By service."""
    disk_free: int | None = None
    """Bytes; None: the ledger is no file on this machine."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Dependencies that do not answer the monitor, with the error."""


def problems(signs: Signs) -> tuple[Problem, ...]:
    """The problems, the most urgent first. A service that waits for a named reason is not named again for it."""
    return (
        *_dependencies(signs),
        *_disk(signs),
        *_circuits(signs),
        *_models(signs),
        *_services(signs),
        *_budget(signs),
        *_stuck(signs),
    )


def _dependencies(signs: Signs) -> Iterator[Problem]:
    for what, why in signs.away.items():
        yield Problem(
            kind="dependency",
            what=what,
            why=f"It does not answer the monitor: {why}",
            remedy="Start it, or repair the network between. Its figures are the last known ones until then.",
        )


def _disk(signs: Signs) -> Iterator[Problem]:
    if signs.disk_free is not None and signs.disk_free < DISK_BYTES:
        yield Problem(
            kind="disk",
            what="the ledger's disk",
            why=f"It has {signs.disk_free // 2**20:,} MiB left. When it is full, everything stops.",
            remedy="Free some space, or shorten the topics' retention; docs/runbook/disk-full.md.",
        )


def _circuits(signs: Signs) -> Iterator[Problem]:
    for group, why in signs.circuits.items():
        yield Problem(
            kind="circuit",
            what=group,
            why=f"Its circuit is open, so it takes no messages: {why}",
            remedy=f"Repair the cause, then run `reasonmed circuit close {group}`.",
        )


def _models(signs: Signs) -> Iterator[Problem]:
    for report in signs.models.values():
        match report.kind:
            case "away":
                yield Problem(
                    kind="model_away",
                    what=report.alias,
                    why=f"The model takes no calls: {report.why}.",
                    remedy="Check its address, key and name with `reasonmed recipes check`; cases wait meanwhile, and "
                    "go on by themselves.",
                )
            case "slow":
                yield Problem(
                    kind="model_slow",
                    what=report.alias,
                    why=f"Its server may hang: {report.why}.",
                    remedy="Look at the server and its log; restart it if it hangs. The call is asked again then.",
                )
            case _:
                assert_never(report.kind)


def _services(signs: Signs) -> Iterator[Problem]:
    for group, sign in signs.groups.items():
        if sign.restarts:
            yield Problem(
                kind="restarting",
                what=group,
                why=f"Its workers restarted {sign.restarts} times in {sign.window_s / 60:.0f} min.",
                remedy=f"Read the log of {group} for the error before each end.",
            )
        elif sign.lag and sign.down:
            yield Problem(
                kind="service_down",
                what=group,
                why=f"No worker of it runs, and {sign.lag:,} messages wait.",
                remedy=f"Start one, or read the log of {group}.",
            )
        elif sign.lag and sign.still_s and not _excused(group, signs):
            yield Problem(
                kind="stalled",
                what=group,
                why=f"It has finished nothing for {sign.still_s:.0f} s, and {sign.lag:,} messages wait.",
                remedy=f"Ask /readyz of {group} why, and read its log; docs/runbook/behind.md.",
            )


def _excused(group: str, signs: Signs) -> bool:
    """Whether the group rightly finishes nothing: it makes calls, or waits for what is named already."""
    return (
        group in signs.circuits
        or bool(signs.away or signs.models)
        or signs.calls_under_way.get(group.partition("-")[0], 0) > 0
        or (group == "router" and signs.budget_stopped)
    )


def _budget(signs: Signs) -> Iterator[Problem]:
    if signs.budget_stopped:
        yield Problem(
            kind="budget",
            what="admission",
            why="Spent and reserved cost have reached the budget: questions wait for admission.",
            remedy="Raise it with `reasonmed budget set USD`.",
        )


def _stuck(signs: Signs) -> Iterator[Problem]:
    for topic in signs.topics:
        if topic.topic != WAITS_FOR_ADMISSION and (topic.oldest_s or 0.0) > STUCK_S:
            yield Problem(
                kind="stuck",
                what=topic.topic,
                why=f"A case has been there for {(topic.oldest_s or 0.0) / 3600:.0f} h.",
                remedy=f"See which and why: the dashboard's cases at {topic.topic}, then `reasonmed show CASE`.",
            )
