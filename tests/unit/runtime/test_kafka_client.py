"""Kafka by TLS: the client trusts only its authority, and shows its own certificate where one is asked for."""

import asyncio
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from services.local.processes.ports import LOOPBACK
from services.runtime.kafka.client import KafkaClient


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates that it signed for a broker and a client."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text(f"subjectAltName=IP:{LOOPBACK}\n")
    for name in ("broker", "user"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
    return folder


async def seen_as(files: Path, client: KafkaClient) -> str:
    """Whom a broker that asks for a certificate sees."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files / "ca.crt"))
    context.load_cert_chain(files / "broker.crt", files / "broker.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ((name,),) = writer.get_extra_info("peercert")["subject"]
        writer.write(name[1].encode())
        writer.close()

    async with await asyncio.start_server(greet, LOOPBACK, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client.arguments()["ssl_context"])
        try:
            return (await reader.read()).decode()
        finally:
            writer.close()


def client(files: Path, **changes: str) -> KafkaClient:
    return KafkaClient(bootstrap="h:1", security_protocol="SSL", cafile=str(files / "ca.crt"), **changes)  # type: ignore[arg-type]


async def test_a_client_with_a_certificate_is_let_in(files: Path) -> None:
    own = client(files, certfile=str(files / "user.crt"), keyfile=str(files / "user.key"))
    assert await seen_as(files, own) == "user"


async def test_a_client_without_one_is_refused(files: Path) -> None:
    seen = ""
    with suppress(ssl.SSLError, ConnectionError):  # with TLS 1.3 the client learns of it at its first read
        seen = await seen_as(files, client(files))
    assert seen == ""


async def test_a_broker_of_another_authority_is_not_trusted(files: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await seen_as(files, KafkaClient(bootstrap="h:1", security_protocol="SSL"))


def test_without_tls_there_is_no_context(files: Path) -> None:
    assert "ssl_context" not in KafkaClient(bootstrap="h:1", certfile=str(files / "user.crt")).arguments()
