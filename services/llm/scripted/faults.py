"""What goes wrong on purpose: a share of the replies, and windows of trouble that a controller opens."""

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field

from services.llm.scripted.asks import JUDGES
from services.llm.scripted.log import Log
from services.llm.scripted.seeded import fraction, pick

Kind = Literal[
    "500",  # a server's error
    "reset",  # the connection is reset after half of the body
    "broken",  # 200, and the body is no JSON
    "empty",  # 200, and no body
    "truncated",  # 200, a body as long as its header says, whose JSON ends in the middle
    "no_text",  # a reply whose text is empty
    "types",  # wrong types: of every field that a judge gives; of another's content itself
    "cut",  # the first half of the text, finish_reason "length"
    "twice",  # of judges: every field twice, verdict and score in contradiction
    "stranger",  # of judges: a well-formed verdict on another path, the opposite of this one's
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What may become of a reply; each as likely as another, where it makes sense."""

WindowKind = Literal[
    "401",  # the key is refused
    "429",  # too many calls; Retry-After says 1 s
    "502",  # as a proxy whose server is down
    "503",
    "500",
    "error_in_200",  # 200, and in the body the error 503
    "interrupted",  # the first half of the text, finish_reason "error"
    "reset",
    "slow",  # a good reply, so many seconds later
    "hang",  # no reply, ever: the client has to go away
]

_OF_JUDGES = ("twice", "stranger")
_WITHHOLDING = ("500", "reset", "broken", "empty", "truncated", "401", "429", "502", "503", "error_in_200", "hang")
_MISTYPED = {"verdict": True, "reason": 7, "score": "high", "justification": []}
_OPPOSITE = {"Correct": "Error", "Error": "Correct"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request."""

    kind: Kind | WindowKind
    delay_s: float = 0.0
    """Seconds that the reply comes later."""

    def notes(self, stage: str) -> dict[str, Any]:
        """What the log says of it."""
        withheld = self.kind in _WITHHOLDING or (self.kind == "types" and stage not in JUDGES)
        return {"fault": self.kind, **({"withheld": True} if withheld else {})}


class Window(BaseModel):
    """A time of trouble, as a controller asks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: WindowKind
    seconds: float = Field(gt=0, allow_inf_nan=False)
    share: float = Field(default=1.0, ge=0, le=1)
    """Of the requests that begin in it, so many are hit."""
    delay_s: float = Field(default=120.0, ge=0, allow_inf_nan=False)
    """For slow: a call of minutes."""

    def fault(self) -> Fault:
        """What it does to a request."""
        delays = {"slow": self.delay_s, "hang": math.inf}
        return Fault(self.kind, delays.get(self.kind, 0.0))


class Faults:
    """Which requests go wrong, and how: a function of the seed, the call's id and how many times the call was begun
    before, so that a retry may go well; of time only in that a window is open or not."""

    def __init__(self, rate: float, log: Log, *, seed: int) -> None:
        self._rate = rate
        self._log = log
        self._seed = seed
        self._begun = Counter[str]()
        self._windows: list[tuple[Window, float]] = []
        """Each with the time at which it opened."""

    def draw(self, call_id: str, stage: str) -> Fault | None:
        """What goes wrong with the request that begins now. Windows come before the rate, the first opened first."""
        key = (self._seed, call_id, self._begun[call_id])
        self._begun[call_id] += 1
        now = time.time()
        self._windows = [(window, at) for window, at in self._windows if now < at + window.seconds]
        for window, _ in self._windows:
            if fraction("window", window.kind, *key) < window.share:
                return window.fault()
        if fraction("fault", *key) >= self._rate:
            return None
        return Fault(pick([kind for kind in KINDS if stage in JUDGES or kind not in _OF_JUDGES], "kind", *key))

    def open(self, window: Window) -> None:
        """The window begins now."""
        at = time.time()
        self._windows.append((window, at))
        self._log.window(window.kind, at, at + window.seconds)

    def close(self) -> None:
        """All windows end now: what they have hit stays so."""
        now = time.time()
        for window, at in self._windows:
            self._log.window(window.kind, at, min(now, at + window.seconds))
        self._windows.clear()


def judgement(kind: str | None, reply: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A judge's reply as text, and the fields that it states clearly."""
    if kind == "types":
        return _json({name: _MISTYPED.get(name) for name in reply}), {}
    if kind == "twice":
        return _json(reply)[:-1] + "," + _json(_opposite(reply))[1:], {}
    said = _opposite(reply) if kind == "stranger" else reply
    return _json(said), said


def body(kind: str, whole: bytes) -> bytes:
    """What is sent of a reply that is withheld: bytes that nobody can read a reply from. (One that is reset is whole:
    it's the connection that ends too early.)"""
    match kind:
        case "broken":
            return whole.replace(b":", b"")
        case "empty":
            return b""
        case "truncated":
            return whole[: len(whole) // 2]
        case "types":
            chat = orjson.loads(whole)
            chat["choices"][0]["message"]["content"] = [chat["choices"][0]["message"]["content"]]
            return orjson.dumps(chat)
        case _:
            return whole


def _opposite(reply: Mapping[str, Any]) -> dict[str, Any]:
    other = {"reason": "Scripted verdict on another path.", "justification": "Scripted score of another path."}
    if "verdict" in reply:
        other["verdict"] = _OPPOSITE[reply["verdict"]]
    return {name: 5 - value if name == "score" else other.get(name, value) for name, value in reply.items()}


def _json(fields: Mapping[str, Any]) -> str:
    return orjson.dumps(fields).decode()
