"""The call ledger against a model: any sequence of what can be asked, by three owners, at moving time."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from services.core.ledger.calls import Failure, Outcome
from services.core.ledger.ports import Done, Elsewhere, Mine
from services.core.messages import Position
from tests.laws.conftest import FakeClock, Store

owners = st.sampled_from(["a", "b", "c c"])
calls = st.lists(st.sampled_from(["call-1", "call-2", "call-3", "call-4"]), max_size=4)
leases = st.sampled_from([0.5, 2.0, 8.0])
positions = st.builds(Position, st.just("t"), st.integers(0, 1), st.integers(0, 1))
services = st.sampled_from(["verifier", "refiner"])


@dataclass
class Lease:
    call: str
    owner: str
    since: float
    until: float
    ended: str = "open"


@dataclass
class Submission:
    at: float
    key: tuple[str, str, int]
    position: Position
    recipe: str
    first: bool


@dataclass
class Model:
    """What the ledger should hold, as plainly as can be: lists in the order in which things happened."""

    done: list[tuple[float, str, str, Outcome]] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    submissions: list["Submission"] = field(default_factory=list)
    attempts: dict[tuple[str, Position, str], float] = field(default_factory=dict)

    def outcome(self, call: str) -> Outcome | None:
        return next((outcome for _, name, _, outcome in self.done if name == call), None)

    def live(self, call: str, now: float) -> Lease | None:
        return next((it for it in self.leases if it.call == call and it.ended == "open" and it.until > now), None)

    def latest(self, call: str) -> Lease | None:
        return next((it for it in reversed(self.leases) if it.call == call), None)


class LedgerMachine(RuleBasedStateMachine):
    """Asks ledger and model the same, and compares."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        super().__init__()
        self.store, self.clock, self.model = store, clock, Model()
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()

    @initialize()
    def open(self) -> None:
        self.store.empty()
        self.ledger = self.run(self.stack.enter_async_context(self.store.ledger(self.clock)))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    def run(self, awaited):
        async def wait():
            return await awaited

        return self.runner.run(wait())

    @property
    def now(self) -> float:
        return self.clock.now

    @rule(seconds=st.sampled_from([0.25, 1.0, 4.0, 16.0]))
    def time_passes(self, seconds) -> None:
        self.clock.pass_(seconds)

    @rule(asked=calls, owner=owners, lease_s=leases)
    def claim(self, asked, owner, lease_s) -> None:
        claims = self.run(self.ledger.calls.claim(asked, owner=owner, lease_s=lease_s))
        assert claims == [self.expected_claim(call, owner, lease_s) for call in asked]

    def expected_claim(self, call, owner, lease_s):
        if (outcome := self.model.outcome(call)) is not None:
            return Done(outcome)
        lease = self.model.live(call, self.now)
        if lease and lease.owner != owner:
            return Elsewhere(lease.until - self.now)
        if lease:
            lease.until = max(lease.until, self.now + lease_s)
        else:
            self.model.leases.append(Lease(call, owner, self.now, self.now + lease_s))
        return Mine(lease_s)

    @rule(asked=calls, owner=owners, lease_s=leases)
    def renew(self, asked, owner, lease_s) -> None:
        held = self.run(self.ledger.calls.renew(asked, owner=owner, lease_s=lease_s))
        leases = [self.model.live(call, self.now) for call in asked]
        assert held == [lease is not None and lease.owner == owner for lease in leases]
        for lease in leases:
            if lease and lease.owner == owner:
                lease.until = max(lease.until, self.now + lease_s)

    @rule(asked=calls, owner=owners)
    def release(self, asked, owner) -> None:
        self.run(self.ledger.calls.release(asked, owner=owner))
        for call in asked:
            lease = self.model.live(call, self.now)
            if lease and lease.owner == owner:
                lease.ended, lease.until = "released", self.now

    @rule(asked=calls, owner=owners, text=st.text(max_size=3).filter(lambda it: it.isprintable()))
    def complete(self, asked, owner, text) -> None:
        outcomes = {call: Failure(f"{call} {text}") for call in asked}
        recorded = self.run(self.ledger.calls.complete(outcomes, owner=owner))
        for call in outcomes:
            if self.model.outcome(call) is None:
                self.end_lease(call, owner)
                self.model.done.append((self.now, call, owner, outcomes[call]))
        assert recorded == [self.model.outcome(call) for call in outcomes]

    def end_lease(self, call, owner) -> None:
        live, latest = self.model.live(call, self.now), self.model.latest(call)
        if live:
            live.ended, live.until = ("completed" if live.owner == owner else "released"), self.now
        elif latest and latest.ended == "open" and latest.owner == owner:
            latest.ended = "completed"

    @rule(
        named=st.sampled_from([None, "r1"]), current=st.sampled_from(["r1", "r2"]), life=st.integers(0, 1), at=positions
    )
    def admit(self, named, current, life, at) -> None:
        admission = self.run(
            self.ledger.admissions.admit("case-1", named=named, current=current, life=life, position=at)
        )
        key = ("case-1", named or "", life)
        known = [it for it in self.model.submissions if it.key == key]
        first = next((it for it in known if it.first), None)
        verdict = "first" if first is None else "same" if first.position == at else "duplicate"
        recipe_id = first.recipe if first else named or current
        assert (admission.verdict, admission.recipe_id, admission.refusal) == (verdict, recipe_id, None)
        if first is None:
            self.model.submissions = [it for it in self.model.submissions if (it.key, it.position) != (key, at)]
        if first is None or at not in [it.position for it in known]:
            submission = Submission(self.now, key, at, admission.recipe_id, first is None)
            self.model.submissions.append(submission)

    @rule(service=services, at=positions, owner=owners)
    def open_attempt(self, service, at, owner) -> None:
        others = self.run(self.ledger.attempts.open_attempt(service, at, owner=owner))
        self.model.attempts[service, at, owner] = self.now
        assert others == sum(key[:2] == (service, at) and key[2] != owner for key in self.model.attempts)

    @rule(service=services, at=positions, owner=owners)
    def close_attempt(self, service, at, owner) -> None:
        self.run(self.ledger.attempts.close_attempt(service, at, owner=owner))
        self.model.attempts.pop((service, at, owner), None)

    @rule(service=services, at=positions)
    def forget_attempts(self, service, at) -> None:
        self.run(self.ledger.attempts.forget_attempts(service, at))
        self.model.attempts = {key: it for key, it in self.model.attempts.items() if key[:2] != (service, at)}

    @rule(older_than_s=st.sampled_from([12.0, 30.0]), admissions_s=st.sampled_from([None, 20.0, 40.0]))
    def prune(self, older_than_s, admissions_s) -> None:
        cutoff, model = self.now - older_than_s, self.model
        dropped = self.run(self.ledger.books.prune(older_than_s, admissions_s=admissions_s))
        assert dropped == sum(it[0] < cutoff for it in model.done)
        model.done = [it for it in model.done if it[0] >= cutoff]
        model.leases = [it for it in model.leases if it.until >= cutoff]
        if admissions_s is not None:
            model.submissions = [it for it in model.submissions if it.at >= self.now - admissions_s]
        latest: dict[tuple[str, Position], float] = {}
        for (service, at, _), opened in model.attempts.items():
            latest[service, at] = max(opened, latest.get((service, at), 0))
        model.attempts = {key: it for key, it in model.attempts.items() if latest[key[:2]] >= cutoff}

    @invariant()
    def history_is_the_model_s(self) -> None:
        """Every lease ever given, as it was."""
        claims = self.run(self.ledger.books.claims())
        rows = [(it.call_id, it.owner, it.since, it.until, it.ended) for it in claims]
        assert rows == [(it.call, it.owner, it.since, it.until, it.ended) for it in self.model.leases]

    @invariant()
    def no_two_leases_of_a_call_overlap(self) -> None:
        """The truth of 'one at a time', from the books alone."""
        ends: dict[str, float] = {}
        for row in self.run(self.ledger.books.claims()):
            assert row.since >= ends.get(row.call_id, 0)
            ends[row.call_id] = row.until

    @invariant()
    def finished_calls_are_the_model_s(self) -> None:
        """Oldest first (of one moment in any order: Valkey's larger hashes keep none), with who wrote them and when;
        and nobody holds a lease of one."""
        rows = self.run(self.ledger.books.calls())
        assert [it.at for it in rows] == [at for at, *_ in self.model.done]
        by_moment = sorted(((it.at, it.call_id, it.owner, it.outcome) for it in rows), key=lambda it: it[:2])
        assert by_moment == sorted(self.model.done, key=lambda it: it[:2])
        done = {row.call_id for row in rows}
        assert not [it for it in self.run(self.ledger.books.claims()) if it.call_id in done and it.until > self.now]

    @invariant()
    def submissions_are_counted(self) -> None:
        """Each message once."""
        first = sum(it.first for it in self.model.submissions)
        counts = {"first": first, "duplicate": len(self.model.submissions) - first}
        assert self.run(self.ledger.books.admitted()) == counts


def test_any_sequence_of_requests_does_what_the_model_does(store, clock) -> None:
    """Claims, renewals, releases, completions, admissions, attempts and pruning, in any order, at any time."""
    examples = settings(
        max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )

    class Machine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(store, clock)

    run_state_machine_as_test(Machine, settings=examples)
