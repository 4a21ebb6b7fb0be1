"""aiokafka decodes the names of headers as UTF-8, and after one that is invalid it fetches nothing more: anyone who can
write to a topic could stop all its readers. With this module imported, such a name is read with its odd bytes as \\xNN.
Key, value, offset and the headers' values are unchanged, so the record is treated like any other.

It replaces two names within aiokafka 0.14.0 (pinned; tests/unit/runtime/test_kafka_source.py notices a change), for
every consumer of the process, Faust's included. The compiled parser stays in use: only a batch at which it fails is
read by the one in Python.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record import memory_records
from aiokafka.record.default_records import (
    DefaultRecordBatch,
    _DefaultRecordBatchPy,
)
from aiokafka.record.util import decode_varint_py


class _Bytes(bytearray):
    """Every slice of it can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _InPython(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def __iter__(self) -> Any:
        batch = super().__iter__()
        self._buffer = _Bytes(self._buffer)  # unpacked now, where it was compressed
        return batch

    def _read_msg(self) -> Any:
        return super()._read_msg(decode_varint_py)  # the compiled one takes no subclass of bytearray


class _Batch:
    """A batch of records, as aiokafka's."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._compiled = DefaultRecordBatch(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)

    def __next__(self) -> Any:  # of a transaction's marker, which has no headers
        return next(self._compiled)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._compiled:
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from list(_InPython(self._data))[read:]


fetcher.MemoryRecords = memory_records._MemoryRecordsPy
memory_records.DefaultRecordBatch = _Batch
