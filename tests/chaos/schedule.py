"""The schedule of faults: a function of the seed, so that a run can be repeated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain


class Kind(StrEnum):
    """All kinds of faults that the controller injects. The model server itself corrupts single replies, see
    services.llm.scripted.faults."""

    KILL_WORKER = "kill_worker"
    KILL_ROUTER = "kill_router"
    KILL_EXPORTER = "kill_exporter"
    KILL_GATEWAY = "kill_gateway"
    DRAIN = "drain"
    DRAIN_CUT = "drain_cut"
    JOIN_AND_LEAVE = "join_and_leave"
    REBALANCES = "rebalances"
    PAUSE_WORKER = "pause_worker"
    PAUSE_ROUTER = "pause_router"
    BROKER_STOPPED = "broker_stopped"
    BROKER_RESTARTED = "broker_restarted"
    LEADER_KILLED = "leader_killed"
    TWO_KILLED = "two_killed"
    LEDGER_AWAY = "ledger_away"
    LEDGER_SLOW = "ledger_slow"
    MODEL_AWAY = "model_away"
    MODEL_SLOW = "model_slow"
    MODEL_401 = "model_401"
    MODEL_429 = "model_429"
    MODEL_500 = "model_500"
    MODEL_RESET = "model_reset"
    MODEL_502 = "model_502"
    MODEL_403 = "model_403"
    MODEL_ERROR_IN_200 = "model_error_in_200"
    MODEL_INTERRUPTED = "model_interrupted"
    POOL_RESIZED = "pool_resized"
    NOT_JSON = "not_json"
    UNKNOWN_MAJOR = "unknown_major"
    UNKNOWN_FIELDS = "unknown_fields"
    TOO_LARGE = "too_large"
    WRONG_KEY = "wrong_key"
    BURST = "burst"
    UNKNOWN_RECIPE = "unknown_recipe"
    KILLER = "killer"
    HUNDRED = "hundred"
    EXPORTER_DISK_FULL = "exporter_disk_full"
    LEDGER_DISK_FULL = "ledger_disk_full"
    KAFKA_DISK_FULL = "kafka_disk_full"


THREE_BROKERS = frozenset({Kind.TWO_KILLED})
"""Faults that need three brokers."""


@dataclass(frozen=True)
class Planned:
    """One planned fault. `seed` determines its target and duration."""

    number: int
    kind: Kind
    seed: int


def schedule(seed: int, faults: int, *, brokers: int, kinds: Sequence[Kind] = tuple(Kind)) -> list[Planned]:
    """Plan the faults: all kinds equally often, give or take one, in an order determined by the seed."""
    chance = random.Random(seed)
    possible = [kind for kind in kinds if brokers == 3 or kind not in THREE_BROKERS]
    rounds = chain.from_iterable(chance.sample(possible, len(possible)) for _ in range(-(-faults // len(possible))))
    return [
        Planned(number, kind, chance.randrange(2**32))
        for number, kind in zip(range(1, faults + 1), rounds, strict=False)
    ]
