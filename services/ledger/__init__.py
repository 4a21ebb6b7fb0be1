"""The call ledger: each paid call once. SQLite on one machine, Valkey or Redis on many, memory in tests."""

from services.ledger.errors import LedgerUnusable
from services.ledger.open import Ledger, open_ledger, open_status_store

__all__ = ["Ledger", "LedgerUnusable", "open_ledger", "open_status_store"]
