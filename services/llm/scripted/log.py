"""The server's log of requests: JSON lines, a start and an end for each request, and fault windows.

start: n, id (the call's), attempt, owner, stage, case, at. end: the same, with `start` and `end` (Unix seconds) for
`at`, and
    status   the HTTP status, or null where the client went away or the server stopped first
    reset    true then; absent otherwise
    seed     the request's seed: it tells which of the plan's slots the call is for
    text     the first 16 hex digits of the SHA-256 of the reply's text (stripped)
    finish   stop or length
    usage    {"prompt": …, "completion": …, "cached": …}
    stated   for generate, refine, reason, verify, score: the letter that the path states, or null
    gold     for the same: the gold answer, or null for an unknown question
    path     for verify, score, summarize: the digest of the path in the prompt; equal to the `text` of its writing
    verdict  for verify: Correct or Error
    score    for score, and for verify where asked for: 0 to 5
    fault    the injected fault of the request (services.llm.scripted.faults); absent otherwise
    withheld true if the client cannot have received a readable reply; absent otherwise. Such a line has no fields of
             the reply; on other lines these describe the text that was sent: without a verdict if it states none or two
`n` numbers the requests of one process of the server, whose id is `server`.

window: kind, at, until (Unix seconds): a time of trouble. One that is ended early has a second line, of the same `at`.
"""

import io
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

PROBE = "probe"
"""The id of clients' probes, which are not logged."""


@dataclass(frozen=True)
class Entry:
    """A request that has begun."""

    n: int
    named: Mapping[str, Any]
    start: float


class Log:
    """Appends lines to a file, unbuffered, so that no written line is lost if the server is killed. Without a file it
    only counts."""

    def __init__(self, file: Path | None) -> None:
        self._file: io.FileIO | None = None if file is None else file.open("ab", buffering=0)
        self._count = 0

    def begin(self, call_id: str, owner: str, stage: str, case_id: str, attempt: str = "") -> Entry:
        """Log the start of a request."""
        self._count += 1
        named = {
            "server": os.getpid(),
            "id": call_id,
            "attempt": attempt,
            "owner": owner,
            "stage": stage,
            "case": case_id,
        }
        entry = Entry(self._count, named, time.time())
        self._write({"event": "start", "n": entry.n, **named, "at": entry.start})
        return entry

    def end(self, entry: Entry, status: int | None, notes: Mapping[str, Any]) -> None:
        """Log the end of a request; status None: its client disconnected."""
        line = {"event": "end", "n": entry.n, **entry.named, "start": entry.start, "end": time.time(), "status": status}
        if status is None:
            line["reset"] = True
        self._write({**line, **notes})

    def window(self, kind: str, at: float, until: float) -> None:
        """Log that a fault window was opened, or closed early."""
        self._write({"event": "window", "kind": kind, "at": at, "until": until})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None and line.get("id") != PROBE:
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
