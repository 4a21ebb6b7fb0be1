"""The laws of the port Attempts, for all three ledgers."""

from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.messages import Position
from services.ledger import Ledger

A, B = "worker-a", "worker-b"
REPLY = Reply("It is β-lactam.\nFinal answer: B", "stop", Usage(prompt=70, completion=9, cached=64), "hm\x00 ☤")
OTHER = Reply("Final answer: C", "length", Usage(prompt=70, completion=5))
HERE, THERE = Position("question-submitted", 0, 7), Position("question-submitted", 3, 7)


async def test_attempts_of_others_count_until_they_are_closed(ledger: Ledger) -> None:
    """By service and position. An owner's own attempts do not count; another owner counts once."""
    assert [await ledger.attempts.open_attempt("verifier", HERE, owner=A) for _ in range(2)] == [0, 0]
    assert await ledger.attempts.open_attempt("verifier", HERE, owner=B) == 1
    assert await ledger.attempts.open_attempt("verifier", THERE, owner=B) == 0
    assert await ledger.attempts.open_attempt("refiner", HERE, owner=B) == 0
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 2
    await ledger.attempts.close_attempt("verifier", HERE, owner=B)
    await ledger.attempts.close_attempt("verifier", HERE, owner="never opened one")
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 1


async def test_a_finished_message_s_attempts_are_forgotten(ledger: Ledger) -> None:
    """All attempts at that message, none at another."""
    for owner in (A, B):
        await ledger.attempts.open_attempt("verifier", HERE, owner=owner)
        await ledger.attempts.open_attempt("verifier", THERE, owner=owner)
    for _ in range(2):
        await ledger.attempts.forget_attempts("verifier", HERE)
    assert await ledger.attempts.open_attempt("verifier", HERE, owner="c") == 0
    assert await ledger.attempts.open_attempt("verifier", THERE, owner="c") == 2


async def test_the_owners_of_open_attempts_are_listed(ledger: Ledger) -> None:
    """By service and position, whatever their names hold."""
    mark = 'condemned ["defect","β/ \\" \\n",1]'
    assert await ledger.attempts.owners("verifier", HERE) == []
    for owner in (A, mark, B):
        await ledger.attempts.open_attempt("verifier", HERE, owner=owner)
    await ledger.attempts.close_attempt("verifier", HERE, owner=B)
    assert sorted(await ledger.attempts.owners("verifier", HERE)) == sorted([A, mark])
    assert await ledger.attempts.owners("verifier", THERE) == []
    assert await ledger.attempts.owners("refiner", HERE) == []
