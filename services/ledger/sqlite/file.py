"""The file of the SQLite ledger: its schema, its settings, and what its errors mean."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.core.errors import LedgerAway
from services.ledger.errors import LedgerUnusable

BUSY_S = 5.0
"""How long to wait for the other processes' transactions. One takes a millisecond, but those that wait are served in no
order, and some are unlucky under load."""

SCHEMA = 1
"""PRAGMA user_version of the files that this code writes and reads."""


@dataclass(frozen=True)
class Kind:
    """What a file is for: so that another program's database, or another kind of ours, is not taken for it."""

    application: int
    """PRAGMA application_id."""
    tables: str
    """Statements, each ended by a semicolon and a line's end."""
    later: str = ""
    """Added where they are missing, without another SCHEMA: older workers leave them alone, and go on beside newer
    ones."""


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
"""What the store can do to us. The rest (syntax, misuse, constraints) are mistakes of this code, and stay visible."""


def prepare(path: Path, kind: Kind = LEDGER) -> None:
    """Make the file one of its kind where it is new; refuse it where it can't be one (LedgerUnusable)."""
    try:
        with translated(path), closing(_connect(path, "rwc")) as db:
            _prepare(db, path, kind)
    except LedgerAway as error:
        if _code(error.__cause__) in _DAMAGED:
            raise LedgerUnusable(f"{path} is damaged or no SQLite file: restore it, or move it away") from error
        raise


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a prepared file. It never makes a new one: an empty ledger would pay for every call again."""
    return _connect(path, "rw")


def connect_impatient(path: Path) -> sqlite3.Connection:
    """One that waits for no other, once it is open. A commit on it reaches the system, not the disk, and never folds
    the log into the file: sqlite_commits sees to both."""
    db = connect(path)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA busy_timeout = 0")
    return db


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What the store does to us leaves this block as LedgerAway; a mistake of this code as what it is."""
    try:
        yield
    except OSError as error:
        raise LedgerAway(f"call ledger {path}: {error}; {_advice(-1)}") from error
    except sqlite3.Error as error:
        if _code(error) not in _AWAY:
            raise
        raise LedgerAway(f"call ledger {path}: {error}; {_advice(_code(error))}") from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock that was asked for."""
    return _code(error) == sqlite3.SQLITE_BUSY


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_S, isolation_level=None)


def _prepare(db: sqlite3.Connection, path: Path, kind: Kind) -> None:
    _into_wal(db)
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
        raise LedgerUnusable(f"{path} has schema {version}, this code knows {SCHEMA}: deploy the version that wrote it")
    _execute(db, kind.later)
    db.execute("COMMIT")


def _execute(db: sqlite3.Connection, statements: str) -> None:
    """One by one: sqlite3's own executescript would commit first."""
    for statement in statements.split(";\n"):
        db.execute(statement)


def _into_wal(db: sqlite3.Connection) -> None:
    """Switch a new file to its write-ahead log. SQLite doesn't wait here where several processes do it at once."""
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
        return f"another process held it for more than {BUSY_S:g} s: is one stopped, or the disk a network one?"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: free some space, and work goes on by itself"
    if code in _DAMAGED:
        return "the file is damaged: stop the services, then restore it or move it away"
    return "is its folder there, and writable? Work goes on by itself once it is"
