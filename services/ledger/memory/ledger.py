"""The ledger's fake: one process's memory, the same promises."""

from services.core.ledger.ports import Ledger
from services.ledger.memory.admissions import MemoryAdmissions
from services.ledger.memory.attempts import MemoryAttempts
from services.ledger.memory.books import MemoryBooks
from services.ledger.memory.budgets import MemoryBudgets
from services.ledger.memory.calls import MemoryCalls
from services.ledger.memory.circuits import MemoryCircuits
from services.ledger.memory.reports import MemoryReports
from services.ledger.memory.server import MemoryServer


def memory_ledger(server: MemoryServer | None = None) -> Ledger:
    """An empty ledger that ends with its process. Give a server for a clock of your own, or to play an outage."""
    server = server or MemoryServer()
    budgets = MemoryBudgets(server)
    calls = MemoryCalls(server, budgets)
    admissions, attempts = MemoryAdmissions(server), MemoryAttempts(server)
    books = MemoryBooks(server, calls=calls, admissions=admissions, attempts=attempts, budgets=budgets)
    return Ledger(
        calls=calls,
        admissions=admissions,
        attempts=attempts,
        circuits=MemoryCircuits(server),
        budgets=budgets,
        books=books,
        reports=MemoryReports(server),
    )
