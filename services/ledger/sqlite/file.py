"""The SQLite ledger file: schema, settings, and the translation of SQLite errors."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import LedgerAway
from services.ledger.errors import LedgerUnusable

BUSY_S = 5.0
"""How long to wait for other processes' transactions. One takes a millisecond, but waiting processes are served in no
particular order, so under load a wait can be long."""

SCHEMA = 1
"""PRAGMA user_version of the files that this code writes and reads."""


@dataclass(frozen=True)
class Kind:
    """The kind of a database file. It prevents the use of another program's database, or of another kind of ours."""

    application: int
    """PRAGMA application_id."""
    tables: str
    """Statements, each ended by a semicolon and a newline."""
    later: str = ""
    """Tables added if they are missing, without a new SCHEMA: older workers ignore them and can run beside newer
    workers."""


LEDGER = Kind(
    0x524D4C47,  # "RMLG"
    """
CREATE TABLE call (
    id INTEGER PRIMARY KEY, call_id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, at REAL NOT NULL, outcome BLOB NOT NULL
);
CREATE TABLE claim (
    id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, owner TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL,
    ended TEXT NOT NULL DEFAULT 'open'
);
CREATE INDEX claim_call ON claim (call_id);
CREATE TABLE admission (
    case_id TEXT, named TEXT, life INTEGER, topic TEXT, partition INTEGER, "offset" INTEGER, first INTEGER NOT NULL,
    recipe_id TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (case_id, named, life, topic, partition, "offset")
) WITHOUT ROWID;
CREATE TABLE attempt (
    service TEXT, topic TEXT, partition INTEGER, "offset" INTEGER, owner TEXT, at REAL NOT NULL,
    PRIMARY KEY (service, topic, partition, "offset", owner)
) WITHOUT ROWID;
CREATE TABLE circuit (service TEXT PRIMARY KEY, why TEXT NOT NULL) WITHOUT ROWID;
""",
    """
CREATE INDEX IF NOT EXISTS claim_open ON claim (owner, until) WHERE ended = 'open';
CREATE INDEX IF NOT EXISTS call_at ON call (at);
CREATE INDEX IF NOT EXISTS claim_until ON claim (until);
CREATE TABLE IF NOT EXISTS refusal (
    case_id TEXT, named TEXT, life INTEGER, at REAL NOT NULL, refusal BLOB NOT NULL, PRIMARY KEY (case_id, named, life)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS known (
    id INTEGER PRIMARY KEY, case_id TEXT NOT NULL UNIQUE, at REAL NOT NULL, signature BLOB NOT NULL,
    shown_id TEXT NOT NULL, shown_text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS band (
    key INTEGER, known INTEGER, at REAL NOT NULL, PRIMARY KEY (key, known)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spending (
    alias TEXT, stage TEXT, calls INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
    cached INTEGER NOT NULL, nano_usd INTEGER NOT NULL, PRIMARY KEY (alias, stage)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budget (
    id INTEGER PRIMARY KEY, most INTEGER, waiting INTEGER NOT NULL, reserved INTEGER NOT NULL, open INTEGER NOT NULL
);
INSERT OR IGNORE INTO budget VALUES (0, NULL, 0, 0, 0);
CREATE TABLE IF NOT EXISTS reservation (
    work_id TEXT, life INTEGER, case_id TEXT NOT NULL, recipe_id TEXT NOT NULL, at REAL NOT NULL,
    estimate INTEGER NOT NULL, spent INTEGER NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (work_id, life)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reservation_open ON reservation (case_id) WHERE open;
CREATE TABLE IF NOT EXISTS settled (
    recipe_id TEXT PRIMARY KEY, cases INTEGER NOT NULL, nano_usd INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remembered (
    alias TEXT, stage TEXT, calls INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
    cached INTEGER NOT NULL, nano_usd INTEGER NOT NULL, PRIMARY KEY (alias, stage)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS model_report (
    owner TEXT, alias TEXT, kind TEXT NOT NULL, why TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (owner, alias)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS question_ended (case_id TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probe (service TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
""",
)

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_AWAY = _DAMAGED | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}
"""Errors of the store. All others (syntax, misuse, constraints) are defects of this code and are not translated."""


def prepare(path: Path, kind: Kind = LEDGER) -> None:
    """Create or check the database file. Raises LedgerUnusable if it is not of this kind, LedgerAway."""
    try:
        with translated(path), closing(_connect(path, "rwc")) as db:
            _prepare(db, path, kind)
    except LedgerAway as error:
        if _code(error.__cause__) in _DAMAGED:
            raise LedgerUnusable(f"{path} is damaged or not a SQLite file: restore it, or move it away") from error
        raise


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a prepared file. Never creates a file: with an empty ledger every call would be paid for again."""
    return _connect(path, "rw")


def connect_without_waiting(path: Path) -> sqlite3.Connection:
    """A connection that never waits for a lock once it is open. A commit on it reaches the operating system, not the
    disk, and never checkpoints the write-ahead log: sqlite/commits.py does both."""
    db = connect(path)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA busy_timeout = 0")
    return db


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise errors of the store as LedgerAway; defects of this code leave the block unchanged."""
    try:
        yield
    except OSError as error:
        raise LedgerAway(f"call ledger {path}: {error}; {_advice(-1)}") from error
    except sqlite3.Error as error:
        if _code(error) not in _AWAY:
            raise
        raise LedgerAway(f"call ledger {path}: {error}; {_advice(_code(error))}") from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds the requested lock."""
    return _code(error) == sqlite3.SQLITE_BUSY


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_S, isolation_level=None)


def _prepare(db: sqlite3.Connection, path: Path, kind: Kind) -> None:
    _enable_wal(db)
    db.execute("BEGIN IMMEDIATE")
    application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if (application, version, tables) == (0, 0, 0):
        _execute(db, kind.tables)
        db.execute(f"PRAGMA application_id = {kind.application}")
        db.execute(f"PRAGMA user_version = {SCHEMA}")
    elif application != kind.application:
        raise LedgerUnusable(f"{path} is another program's database: give the ledger a file of its own")
    elif version != SCHEMA:
        raise LedgerUnusable(
            f"{path} has schema {version}, this version reads {SCHEMA}: deploy the version that wrote it"
        )
    _execute(db, kind.later)
    db.execute("COMMIT")


def _execute(db: sqlite3.Connection, statements: str) -> None:
    """Execute one by one: sqlite3's own executescript would commit first."""
    for statement in statements.split(";\n"):
        db.execute(statement)


def _enable_wal(db: sqlite3.Connection) -> None:
    """Switch a new file to write-ahead logging. SQLite's busy time-out does not cover concurrent switches."""
    give_up = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _code(error: BaseException | None) -> int:
    """SQLite's primary result code; -1 for errors of the Python module itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def _advice(code: int) -> str:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process held the lock for more than {BUSY_S:g} s: look for a paused process, or a network disk"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: free some space, and work resumes by itself"
    if code in _DAMAGED:
        return "the file is damaged: stop the services, then restore it or move it away"
    return "check that its folder exists and is writable; work then resumes by itself"
