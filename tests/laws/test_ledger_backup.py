"""The runbook's page on a lost ledger, rehearsed: a backup while it is in use, the loss, the restore."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.errors import LedgerAway
from services.core.ledger.calls import Reply
from services.core.ledger.ports import Done, Mine
from services.ledger import open_ledger
from services.ledger.sqlite.ledger import open_sqlite
from tests.laws.conftest import ValkeyProcess
from tests.laws.test_valkey_ledger import claimed

PAGE = Path(__file__).parents[2] / "docs/ledger-lost.md"
BEFORE, AFTER = CallId("call-before"), CallId("call-after")
PAID = Reply("B", "stop", Usage(prompt=1, completion=1))


async def test_sqlite_from_a_copy(tmp_path: Path) -> None:
    path, copy = tmp_path / "ledger.sqlite", tmp_path / "backup.sqlite"
    async with open_sqlite(path) as ledger:
        await ledger.calls.complete({BEFORE: PAID}, owner="a")
        backup(path, copy)
        await ledger.calls.complete({AFTER: PAID}, owner="a")
    for file in tmp_path.glob("ledger.sqlite*"):
        file.unlink()
    shutil.copy(copy, path)
    async with open_sqlite(path) as ledger:
        claims = await ledger.calls.claim([BEFORE, AFTER], owner="b", lease_s=60)
        assert claims == [Done(PAID), Mine(60)], "what was paid after the backup is paid again"


def backup(path: Path, copy: Path) -> None:
    """The command as the page has it."""
    found = re.search(r"^python3 (-c .*) ledger.sqlite backup.sqlite$", PAGE.read_text(), re.MULTILINE)
    assert found is not None
    subprocess.run([sys.executable, *shlex.split(found[1]), str(path), str(copy)], check=True)


async def test_valkey_from_a_snapshot(own_valkey: Callable[..., ValkeyProcess]) -> None:
    server = own_valkey()
    async with open_ledger(server.url) as ledger:
        await ledger.calls.complete({BEFORE: PAID}, owner="a")
        server.ask("SAVE")
        server.ask("FLUSHALL")
        with pytest.raises(LedgerAway, match="would be paid for again"):
            await ledger.calls.claim([BEFORE], owner="a", lease_s=60)
        server.stop()
        shutil.rmtree(Path(server.url.removeprefix("unix://")).parent / "appendonlydir")  # the snapshot remains
        server.start("--appendonly", "no")
        server.ask("CONFIG", "SET", "appendonly", "yes")
        assert await claimed(ledger, "b", BEFORE) == Done(PAID), "the same store, for all"
    async with open_ledger(server.url) as ledger:
        assert await ledger.calls.claim([BEFORE], owner="c", lease_s=60) == [Done(PAID)]
