"""The call ledger: each paid call is made once. SQLite on one machine, Valkey or Redis on many, memory in tests."""

from services.core.ledger.ports import Ledger
from services.ledger.errors import LedgerUnusable
from services.ledger.open import ledger_folder, open_ledger, open_status_store

__all__ = ["Ledger", "LedgerUnusable", "ledger_folder", "open_ledger", "open_status_store"]
