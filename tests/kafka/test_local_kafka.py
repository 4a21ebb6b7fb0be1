"""Kafka itself, as one broker and as three: up, used, restarted, killed, paused, gone."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from services.local.processes.ports import free_ports
from services.local.processes.process import ProcessError
from services.local.servers.kafka import KafkaCluster
from services.local.servers.kafka_config import Limits

PROJECT = Path(__file__).parents[2]


async def create(bootstrap: str, topic: str, replicas: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, replicas)])
    finally:
        await admin.close()


async def send(bootstrap: str, topic: str, *values: bytes, **settings: object) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, **settings) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def read(bootstrap: str, topic: str, count: int, group: str | None = None) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2**25,
    )
    async with consumer, asyncio.timeout(60):
        return [(await consumer.getone()).value for _ in range(count)]


async def test_one_broker_keeps_its_messages_and_its_port(tmp_path: Path) -> None:
    async with KafkaCluster(tmp_path / "kafka") as kafka:
        await create(kafka.bootstrap, "events", 1)
        await send(kafka.bootstrap, "events", b"one")
        bootstrap = kafka.bootstrap
        await kafka.stop_broker(0)
        await kafka.start_broker(0)
        assert kafka.bootstrap == bootstrap
        await send(kafka.bootstrap, "events", b"two")
        assert await read(kafka.bootstrap, "events", 2, group="readers") == [b"one", b"two"]
        assert 100e6 < kafka.usage["kafka-1"].peak_rss < 600e6
    assert [process.running for process in kafka.processes] == [False]

    async with KafkaCluster(tmp_path / "kafka") as again:
        assert await read(again.bootstrap, "events", 2) == [b"one", b"two"]


async def test_large_messages_pass_and_unknown_topics_are_not_made(tmp_path: Path) -> None:
    large = os.urandom(3 * 2**20)
    async with KafkaCluster(tmp_path / "kafka", limits=Limits(max_message_bytes=4 * 2**20)) as kafka:
        await create(kafka.bootstrap, "events", 1)
        await send(kafka.bootstrap, "events", large, max_request_size=4 * 2**20)
        assert await read(kafka.bootstrap, "events", 1) == [large]
        async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap) as consumer:
            assert await consumer.topics() == {"events"}
        with pytest.raises(UnknownTopicOrPartitionError):
            await send(kafka.bootstrap, "evnets", b"?", request_timeout_ms=2_000)


async def test_broker_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    kafka = KafkaCluster(tmp_path / "kafka", properties={"num.io.threads": "0"})
    with pytest.raises(ProcessError, match=r"num\.io\.threads"):
        await kafka.start()
    assert not any(process.running for process in kafka.processes)


@pytest.mark.timeout(180)
async def test_three_brokers_outlive_the_loss_of_one(tmp_path: Path) -> None:
    async with KafkaCluster(tmp_path / "kafka", brokers=3) as kafka:
        await create(kafka.bootstrap, "events", 3)
        await send(kafka.bootstrap, "events", b"one")
        assert await setting(kafka.bootstrap, "events", "min.insync.replicas") == "2"
        first = await leader(kafka.bootstrap, "events")
        await kafka.kill_broker(first)
        await send(kafka.bootstrap, "events", b"two")
        assert await leader(kafka.bootstrap, "events") != first
        await kafka.start_broker(first)

        second = await leader(kafka.bootstrap, "events")
        kafka.pause_broker(second)
        await send(kafka.bootstrap, "events", b"three", request_timeout_ms=5_000)
        kafka.resume_broker(second)
        assert await read(kafka.bootstrap, "events", 3) == [b"one", b"two", b"three"]


async def leader(bootstrap: str, topic: str) -> int:
    """The index of the broker that leads the topic's only partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return int(described["partitions"][0]["leader"]) - 1
    finally:
        await admin.close()


async def setting(bootstrap: str, topic: str, name: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return str(next(entry[1] for entry in answer.resources[0][4] if entry[0] == name))
    finally:
        await admin.close()


PARENT = """
import asyncio, sys
from pathlib import Path
from services.local.servers.kafka import KafkaCluster
from services.local.servers.small_model import ModelServer
from services.local.servers.valkey import ValkeyServer

async def main(folder):
    async with KafkaCluster(folder / "kafka") as kafka, ModelServer(folder) as llm, ValkeyServer(folder) as valkey:
        children = [*kafka.processes, llm.process, valkey.process]
        print(*(child.pid for child in children), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_kill_9_of_the_parent_leaves_no_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(handles) == 3
        parent.kill()
        for handle in handles:
            assert select.select([handle], [], [], 10)[0]
            os.close(handle)


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
