"""The call ledger: each paid call once. SQLite on one machine, Valkey or Redis on many, memory in tests."""

from services.ledger.open import Ledger, LedgerUnusable, open_ledger

__all__ = ["Ledger", "LedgerUnusable", "open_ledger"]
