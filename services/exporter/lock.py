"""One writer a partition: a lock that the kernel lets go of when its process dies, however it dies."""

import fcntl
import os
from pathlib import Path
from typing import Self


class PartitionLock:
    """An exclusive flock, held until `release` or the end of the process. A process that has lost its partition without
    knowing (stopped for longer than its session) still holds it: who comes next waits, and two never write.

    The lock's file stays: removing it would let two processes lock two files of one name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The lock, or None where another process (or another lock of this one) holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
