"""The ledger's ports: small Protocols. Each has adapters for SQLite, Valkey and memory, and one
suite of laws in tests/laws for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from services.contracts.refused import Match, Reason
from services.core.dedupe.minhash import Candidate
from services.core.ledger.calls import Outcome
from services.core.ledger.spending import Price
from services.core.messages import Position


@dataclass(frozen=True)
class Done:
    """The call has ended: this is what everyone publishes."""

    outcome: Outcome


@dataclass(frozen=True)
class Mine:
    """The call is the caller's to make, until the lease ends. A second claim of the same owner renews it."""

    lease_s: float
    """Seconds that the lease lasts from the moment it was asked for."""


@dataclass(frozen=True)
class Elsewhere:
    """Another owner has the lease."""

    remaining_s: float


Claim = Done | Mine | Elsewhere


class Calls(Protocol):
    """The call ledger: each paid call once. An owner is a process (a name no other process has, nor will have).

    All methods raise LedgerAway where the store can't be reached or is too slow; nothing is then known of the effect.
    """

    async def claim(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[Claim]:
        """For each call, in order: its outcome, or a lease, or who has it. One transaction. May be repeated."""
        ...

    async def renew(self, call_ids: Sequence[str], *, owner: str, lease_s: float) -> list[bool]:
        """Extend leases that the owner still holds; False for each that it doesn't hold any more (lost or ended)."""
        ...

    async def release(self, call_ids: Sequence[str], *, owner: str) -> None:
        """Give back leases whose calls were not made or have been cancelled. Those of others are left alone."""
        ...

    async def complete(
        self, outcomes: Mapping[str, Outcome], *, owner: str, prices: Mapping[str, Price] | None = None
    ) -> list[Outcome]:
        """Write outcomes and end the leases; the first writer wins. Returns what the ledger holds, in order. What was
        written is put down to `prices`, by call id, in the same transaction."""
        ...


@dataclass(frozen=True)
class Refusal:
    """Why a question is not admitted, and what it is too like."""

    reason: Reason
    match: Match


@dataclass(frozen=True)
class Admission:
    """What admission said, and the recipe that the question was given (then, not now)."""

    verdict: Literal["first", "same", "duplicate"]
    recipe_id: str
    refusal: Refusal | None = None
    """Of 'first' and 'same': why the question was refused when it came first. None: it was let in."""


class Admissions(Protocol):
    """Each question becomes a case once: the first writer wins."""

    async def admit(
        self,
        case_id: str,
        *,
        named: str | None,
        current: str,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        """Admit a question. `named` is the recipe that the submission asks for, if any: a question is admitted once for
        each named recipe, and once for none. 'first': it is new. 'same': this very message was admitted before (a
        redelivery), with the recipe given then. 'duplicate': another message was first. A life above 0 (a redrive) is
        admitted once for itself.

        A question that comes first is refused where the caller says so (`refusal`), or where one that was let in before
        is too like it (`candidate`; the most similar one is named); and what was said then is said again to 'same'. All
        in one step: of two that are alike and come at once, exactly one is let in. Who is let in as a newcomer is one
        that later ones are held against. Its own earlier admissions are no reason to refuse a question, and a life
        above 0 is never refused for its likeness: people have decided. Raises LedgerAway."""
        ...


class Attempts(Protocol):
    """How often a message was begun by a process that died of it; and circuits. Raises LedgerAway."""

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        """Note that processing begins. Returns how many attempts of OTHER owners were left open: by processes that
        died, or that still run elsewhere after a rebalance and will close theirs. One owner counts once."""
        ...

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        """Processing ended, or was given up in order (revoked, drained)."""
        ...

    async def forget_attempts(self, service: str, position: Position) -> None:
        """The message is finished: all of its attempts go."""
        ...

    async def circuit(self, service: str) -> str | None:
        """Why the service's circuit is open; None while it is closed."""
        ...

    async def set_circuit(self, service: str, why: str | None) -> None:
        """Open the circuit with a reason, or close it. Kept over restarts."""
        ...


# --- what an account of a run reads --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClaimRow:
    """One lease that was ever given."""

    call_id: str
    owner: str
    since: float
    """Unix time in seconds, by the store's clock."""
    until: float
    """When it ended (completed, released) or ends by itself."""
    ended: Literal["completed", "released", "open"]


@dataclass(frozen=True)
class CallRow:
    """A finished call."""

    call_id: str
    owner: str
    at: float
    """Unix time in seconds, by the store's clock."""
    outcome: Outcome


class Books(Protocol):
    """The ledger's own history, for accounts and spending."""

    async def claims(self) -> list[ClaimRow]:
        """Every lease ever given (a renewal extends its row), oldest first."""
        ...

    async def calls(self) -> list[CallRow]:
        """Every finished call, oldest first."""
        ...

    async def under_way(self) -> Mapping[str, int]:
        """How many live leases each owner has that has any."""
        ...

    async def admitted(self) -> dict[str, int]:
        """Counts: `first` and `duplicate` submissions."""
        ...

    async def prune(self, older_than_s: float) -> int:
        """Drop calls, claims, admissions and attempts that ended before that many seconds ago; returns how many calls.
        Never sooner than the topics' retention."""
        ...
