"""The ledger's ports: small Protocols, and the value that holds one of each. Each has adapters for SQLite, Valkey and
memory, and one suite of laws in tests/laws for all three. Every method raises LedgerAway while the store can't be
reached or is too slow; the effect of the call is then unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from services.contracts.base import CallId, CaseId, RecipeId, WorkId
from services.contracts.case import Usage
from services.contracts.refused import Match, Reason
from services.core.dedupe.minhash import Candidate
from services.core.ledger.calls import Outcome
from services.core.ledger.reports import ModelReports
from services.core.ledger.spending import BudgetState, Price, Spending
from services.core.messages import Position


@dataclass(frozen=True)
class Done:
    """The call has ended: every worker publishes this outcome."""

    outcome: Outcome


@dataclass(frozen=True)
class Mine:
    """The caller holds the lease and makes the call. A second claim of the same owner renews it."""

    lease_s: float
    """Seconds until the lease expires, from the time of the request."""


@dataclass(frozen=True)
class Elsewhere:
    """Another owner holds the lease."""

    remaining_s: float


Claim = Done | Mine | Elsewhere


class Calls(Protocol):
    """The call ledger: each paid call is made once. An owner is one process, under a name that is never reused.

    - A lease is one row of `Books.claims()`. A renewal, or a second claim by the same owner, extends a live lease and
      never shortens it. An expired lease keeps its `until` and stays 'open'. A later claim is a new row, also for the
      same owner.
    - Only the latest lease of a call ever changes.
    - `complete` needs no lease: a call that was paid for counts. It ends the latest lease of the call. The caller's own
      lease becomes 'completed'; an expired one keeps its `until`, and the CallRow has the time of the outcome.
      Another owner's live lease becomes 'released' now: its renewal returns False, and its `complete` returns the
      outcome that was written first. So a finished call has no live lease.
    - A price counts once, with the outcome that is written first. It is charged to the latest open reservation of the
      case. A call without a price (from an older worker) is charged to nothing.
    """

    async def claim(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[Claim]:
        """For each call, in order: its outcome, a lease, or the time left on another owner's lease. One transaction.
        May be repeated."""
        ...

    async def renew(self, call_ids: Sequence[CallId], *, owner: str, lease_s: float) -> list[bool]:
        """Extend the leases that the owner holds. False for each that it no longer holds."""
        ...

    async def release(self, call_ids: Sequence[CallId], *, owner: str) -> None:
        """End live leases of the owner whose calls were not made or were cancelled. Leaves other owners' leases."""
        ...

    async def complete(
        self, outcomes: Mapping[CallId, Outcome], *, owner: str, prices: Mapping[CallId, Price] | None = None
    ) -> list[Outcome]:
        """Write outcomes and end the leases; the first writer wins. Returns the outcomes that the ledger holds, in
        order. Charges new outcomes by `prices` (by call id) in the same transaction."""
        ...

    async def remember(self, found: Sequence[tuple[Price, Usage]]) -> None:
        """Count calls that nobody had to pay for, because the ledger had their outcome: for `Budgets.remembered`."""
        ...


@dataclass(frozen=True)
class Refusal:
    """Why a question is not admitted, and which known question it matches."""

    reason: Reason
    match: Match


@dataclass(frozen=True)
class Admission:
    """The verdict, and the recipe that the question was given when it was first admitted."""

    verdict: Literal["first", "same", "duplicate"]
    recipe_id: RecipeId
    refusal: Refusal | None = None
    """Of 'first' and 'same': why the question was refused. None: it was admitted."""


class Admissions(Protocol):
    """Each question becomes a case once: the first writer wins.

    An admission is identified by (case id, named recipe or none, life). A refusal belongs to its admission, and is
    returned again to the same message. Later questions are compared with every question that was admitted with a
    candidate, in any life and under any recipe. Pruning an admission also drops it from this comparison.
    """

    async def admit(
        self,
        case_id: CaseId,
        *,
        named: RecipeId | None,
        current: RecipeId,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        """Admit a question, in one transaction.

        `named` is the recipe that the submission asks for, if any; `current` the one it gets otherwise. A question is
        admitted once for each named recipe, and once for none. A life above 0 (a redrive) is an admission of its own.

        'first': the question is new. 'same': this very message was admitted before (a redelivery), with the same
        recipe and refusal. 'duplicate': another message was first.

        A first question is refused with `refusal`, where the caller gives one, or as a near-duplicate, where an
        admitted question is too similar to `candidate` (the refusal names the most similar). Of two similar questions
        that arrive together, exactly one is admitted. A question is never compared with its own earlier admissions, and
        a redrive is never refused as a near-duplicate."""
        ...


class Attempts(Protocol):
    """Attempts at messages that processes left open."""

    async def open_attempt(self, service: str, position: Position, *, owner: str) -> int:
        """Record that processing begins. Returns the number of OTHER owners with an open attempt: processes that died,
        or that still run after a rebalance and will close theirs. Each owner counts once."""
        ...

    async def close_attempt(self, service: str, position: Position, *, owner: str) -> None:
        """Record that processing ended, or stopped in order (partition revoked, process drained)."""
        ...

    async def forget_attempts(self, service: str, position: Position) -> None:
        """Drop all attempts at the message: it is finished."""
        ...

    async def owners(self, service: str, position: Position) -> Sequence[str]:
        """Every owner with an open attempt at the message, in no order."""
        ...


class Circuits(Protocol):
    """The services' circuit breakers."""

    async def why(self, service: str) -> str | None:
        """Why the service's circuit is open; None while it is closed."""
        ...

    async def set(self, service: str, why: str | None) -> None:
        """Open the circuit with a reason, or close it with None. Survives restarts."""
        ...

    async def probe(self, service: str, turn_s: float) -> bool:
        """Whether the caller may begin the service's next probe, within `turn_s` seconds. No other caller may, until
        they have passed."""
        ...

    async def probed(self, service: str, pause_s: float) -> None:
        """A probe has begun: nobody may begin another for `pause_s` seconds."""
        ...


class Budgets(Protocol):
    """Spending by model and stage, and the limit at which admission stops. `Calls.complete` charges each outcome."""

    async def spendings(self) -> Sequence[Spending]:
        """By alias and stage. Pruning does not change them."""
        ...

    async def remembered(self) -> Sequence[Spending]:
        """By alias and stage: the calls of `Calls.remember`, and what they had cost. Pruning does not change them."""
        ...

    async def state(self) -> BudgetState:
        """The budget now."""
        ...

    async def set_limit(self, nano_usd: int | None) -> None:
        """Set the limit for all workers, or remove it with None. Survives restarts."""
        ...

    async def reserve(
        self, case_id: CaseId, work_id: WorkId, life: int, *, recipe_id: RecipeId, prior_nano_usd: int
    ) -> bool:
        """Reserve a new case's estimated cost (`estimate`) if spending, reservations and the estimate together don't
        exceed the limit; one transaction. True also where the case has its reservation already, or has ended. False
        also where a person has ended the question (`end`)."""
        ...

    async def end(self, case_id: CaseId, reason: str) -> bool:
        """Keep a question that waits for the budget from ever being admitted: a later `reserve` of it returns False.
        False, and no effect, where a case of it has an open reservation: it is admitted already. One transaction."""
        ...

    async def ended(self, case_id: CaseId) -> str | None:
        """The reason given to `end`, where it had an effect."""
        ...

    async def settle(self, work_id: WorkId, life: int) -> None:
        """The case has ended: drop the rest of its reservation, and count its cost in later estimates. May be repeated,
        and may come before `reserve`."""
        ...


@dataclass(frozen=True)
class ClaimRow:
    """One lease, live or ended."""

    call_id: CallId
    owner: str
    since: float
    """Unix time in seconds, by the store's clock."""
    until: float
    """When it ended (completed, released), or expires."""
    ended: Literal["completed", "released", "open"]


@dataclass(frozen=True)
class Origin:
    """What a finished call was made for. A call that several recipes share has the case, and no work."""

    case_id: CaseId
    stage: str
    alias: str
    sends: int
    """HTTP requests that the process which finished it sent for it."""


@dataclass(frozen=True)
class CallRow:
    """A finished call."""

    call_id: CallId
    owner: str
    at: float
    """Unix time in seconds, by the store's clock."""
    outcome: Outcome
    origin: Origin | None = None
    """None for a call of an older version, or without a price."""


class Books(Protocol):
    """The ledger's history, for audits and figures; and its pruning."""

    async def claims(self) -> list[ClaimRow]:
        """Every lease (a renewal extends its row), oldest first."""
        ...

    async def calls(self) -> list[CallRow]:
        """Every finished call, oldest first."""
        ...

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        """Those of these calls that have ended, by id."""
        ...

    async def under_way(self) -> Mapping[str, int]:
        """The number of live leases, by owner; owners without any are left out."""
        ...

    async def admitted(self) -> dict[str, int]:
        """Counts of `first` and `duplicate` submissions. Each message counts once, however often Kafka delivers it; a
        redrive is an admission of its own."""
        ...

    async def prune(self, older_than_s: float, *, admissions_s: float | None = None) -> int:
        """Drop calls, claims, attempts and settled reservations that ended more than that many seconds ago; returns the
        number of calls. Never prune sooner than the topics' retention. An attempt's age is that of the message's latest
        attempt. Runs in small transactions, so other workers continue in between.

        Admissions have an age of their own (None: all are kept): a question whose admission is dropped is new when it
        is submitted again, and paid for again."""
        ...


@dataclass(frozen=True)
class Ledger:
    """One store's ports. Pass a caller the port that it uses, never the whole."""

    calls: Calls
    admissions: Admissions
    attempts: Attempts
    circuits: Circuits
    budgets: Budgets
    books: Books
    reports: ModelReports
