"""Injected faults: a share of the replies, and fault windows that a controller opens."""

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
"""Faults of a reply; all that apply to the stage are equally likely."""

WindowKind = Literal[
    "401",  # the key is refused
    "403",  # single prompts are refused, the same ones at each try
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
_WITHHOLDING = (
    "500",
    "reset",
    "broken",
    "empty",
    "truncated",
    "401",
    "403",
    "429",
    "502",
    "503",
    "error_in_200",
    "hang",
)
_MISTYPED = {"verdict": True, "reason": 7, "score": "high", "justification": []}
_OPPOSITE = {"Correct": "Error", "Error": "Correct"}


@dataclass(frozen=True)
class Fault:
    """The fault of one request."""

    kind: Kind | WindowKind
    delay_s: float = 0.0
    """The additional delay of the reply, in seconds."""

    def notes(self, stage: str) -> dict[str, Any]:
        """The fields for the log."""
        withheld = self.kind in _WITHHOLDING or (self.kind == "types" and stage not in JUDGES)
        return {"fault": self.kind, **({"withheld": True} if withheld else {})}


class Window(BaseModel):
    """A fault window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: WindowKind
    seconds: float = Field(gt=0, allow_inf_nan=False)
    share: float = Field(default=1.0, ge=0, le=1)
    """The share of requests that begin in the window and get the fault."""
    delay_s: float = Field(default=120.0, ge=0, allow_inf_nan=False)
    """For slow: a call of minutes."""

    def fault(self) -> Fault:
        """The fault for a request."""
        delays = {"slow": self.delay_s, "hang": math.inf}
        return Fault(self.kind, delays.get(self.kind, 0.0))


class Faults:
    """Decides which requests get which fault, as a function of the seed, the call id and the number of earlier starts
    of the call, so that a retry may succeed; and of the open windows."""

    def __init__(self, rate: float, log: Log, *, seed: int) -> None:
        self._rate = rate
        self._log = log
        self._seed = seed
        self._begun = Counter[str]()
        self._windows: list[tuple[Window, float]] = []
        """Each with the time at which it opened."""

    def draw(self, call_id: str, stage: str) -> Fault | None:
        """The fault for the request that begins now. Windows precede the rate, in the order of opening."""
        key = (self._seed, call_id, self._begun[call_id])
        self._begun[call_id] += 1
        now = time.time()
        self._windows = [(window, at) for window, at in self._windows if now < at + window.seconds]
        for window, _ in self._windows:
            drawn_by = key[:2] if window.kind == "403" else key
            if fraction("window", window.kind, *drawn_by) < window.share:
                return window.fault()
        if fraction("fault", *key) >= self._rate:
            return None
        return Fault(pick([kind for kind in KINDS if stage in JUDGES or kind not in _OF_JUDGES], "kind", *key))

    def open(self, window: Window) -> None:
        """Open the window now."""
        at = time.time()
        self._windows.append((window, at))
        self._log.window(window.kind, at, at + window.seconds)

    def close(self) -> None:
        """Close all windows now; requests that already have a fault keep it."""
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
    """The body of a withheld reply, from which no reply can be parsed. (For `reset` the body is complete, but the
    connection ends early.)"""
    match kind:
        case "broken":
            return whole.replace(b":", b"")
        case "empty":
            return b""
        case "truncated":
            return whole[: len(whole) // 2]
        case "types":
            chat = orjson.loads(whole)
            chat["choices"][0]["message"]["content"] = len(chat["choices"][0]["message"]["content"])
            return orjson.dumps(chat)
        case _:
            return whole


_ERROR = {"step": 1, "kind": "wrong_fact", "severity": "minor", "reason": "Scripted error in another path."}


def _opposite(reply: Mapping[str, Any]) -> dict[str, Any]:
    other: dict[str, Any] = {
        "reason": "Scripted verdict on another path.",
        "justification": "Scripted score of another path.",
    }
    if "verdict" in reply:
        other["verdict"] = _OPPOSITE[reply["verdict"]]
    if "errors" in reply:
        other["errors"] = [] if reply["errors"] else [_ERROR]
    return {name: 5 - value if name == "score" else other.get(name, value) for name, value in reply.items()}


def _json(fields: Mapping[str, Any]) -> str:
    return orjson.dumps(fields).decode()
