"""Ways to a server: TLS, users of its own, a socket; each with what is said when it fails."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme

from aiojobs_engine import BackendUnavailable, ConfigError, Engine
from tests.servers.server import Server, free_port, redis_on_path, valkey

BOUND = 20


async def doubled(url: str) -> int:
    """What a job that doubles 21 gives, dispatched and run there."""
    engine = Engine(url)

    @engine.job(name="double")
    async def double(n: int) -> int:
        return 2 * n

    async with asyncio.timeout(BOUND), engine:
        handle = await engine.dispatch(double, n=21)
        await engine.worker(burst=True).run()
        return await handle.result()


async def fails(url: str) -> str:
    """What is said when the store is opened."""
    with pytest.raises((ConfigError, BackendUnavailable)) as caught:
        async with asyncio.timeout(BOUND), Engine(url):
            pass
    return str(caught.value)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.pem`, and certificate and key of the server and of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("127.0.0.1", "client"):
        made = authority.issue_cert(name)
        made.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        made.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


@asynccontextmanager
async def terminator(server: Server, certificates: Path, *, asks: bool = False) -> AsyncIterator[int]:
    """The port of one who speaks TLS before a server that doesn't; `asks` for a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "127.0.0.1.pem", certificates / "127.0.0.1.key")
    if asks:
        context.load_verify_locations(certificates / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(carry(reader, outer))
            group.create_task(carry(inner, writer))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield int(listener.sockets[0].getsockname()[1])


async def test_tls_is_spoken_and_the_name_is_checked(
    servers: dict[str, Server], certificates: Path, prefix: str
) -> None:
    async with terminator(servers["valkey"], certificates) as port:
        url = f"rediss://127.0.0.1:{port}?prefix={prefix}"
        assert await doubled(f"{url}&tls_ca={certificates / 'ca.pem'}") == 42
        assert await doubled(f"{url}&tls_verify=false") == 42
        assert "certificate verify failed" in await fails(f"{url}&retry_for=0.1")
        other = url.replace("127.0.0.1", "localhost")
        told = await fails(f"{other}&retry_for=0.1&tls_ca={certificates / 'ca.pem'}")
        assert "certificate verify failed" in told


async def test_a_client_shows_its_certificate(
    servers: dict[str, Server], certificates: Path, prefix: str
) -> None:
    async with terminator(servers["valkey"], certificates, asks=True) as port:
        url = f"rediss://127.0.0.1:{port}?prefix={prefix}&tls_ca={certificates / 'ca.pem'}"
        assert (
            await doubled(
                f"{url}&tls_cert={certificates / 'client.pem'}&tls_key={certificates / 'client.key'}"
            )
            == 42
        )
        assert "can't be reached" in await fails(f"{url}&retry_for=0.1")


async def test_a_server_with_tls_of_its_own(certificates: Path, tmp_path: Path) -> None:
    """The wheel's Valkey is built without, and stands behind a terminator where it is alone."""
    port = free_port()
    options = (
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-ca-cert-file", str(certificates / "ca.pem")),
        *("--tls-cert-file", str(certificates / "127.0.0.1.pem")),
        *("--tls-key-file", str(certificates / "127.0.0.1.key")),
    )
    if (binary := redis_on_path()) is not None:
        with Server(binary, tmp_path / "server", *options):
            assert await doubled(f"rediss://127.0.0.1:{port}?tls_ca={certificates / 'ca.pem'}") == 42
    else:
        with Server(valkey(), tmp_path / "server") as server:
            async with terminator(server, certificates) as outer:
                assert await doubled(f"rediss://127.0.0.1:{outer}?tls_ca={certificates / 'ca.pem'}") == 42


async def test_files_that_are_no_certificates_are_named(servers: dict[str, Server], tmp_path: Path) -> None:
    url = f"rediss://127.0.0.1:{servers['valkey'].port}"
    assert "its TLS options can't be used" in await fails(f"{url}?tls_ca={tmp_path / 'none.pem'}")
    (tmp_path / "empty.pem").write_text("")
    assert "its TLS options can't be used" in await fails(f"{url}?tls_cert={tmp_path / 'empty.pem'}")


async def test_a_server_without_tls_is_told_apart(servers: dict[str, Server], prefix: str) -> None:
    told = await fails(
        f"rediss://127.0.0.1:{servers['valkey'].port}?prefix={prefix}&retry_for=0.1&connect_timeout=1"
    )
    assert "can't be reached" in told


async def test_a_user_whose_name_and_password_need_escapes(own_server: Server) -> None:
    own_server.run("ACL", "SETUSER", "té@m:1", "on", ">a@b:c/d?e%f g", "~*", "&*", "+@all")
    own_server.run("CONFIG", "SET", "requirepass", "other word")
    port = own_server.port

    assert await doubled(f"redis://t%C3%A9%40m%3A1:a%40b%3Ac%2Fd%3Fe%25f%20g@127.0.0.1:{port}") == 42
    assert await doubled(f"redis://:other%20word@127.0.0.1:{port}") == 42
    told = await fails(f"redis://t%C3%A9%40m%3A1:wrong@127.0.0.1:{port}")
    assert "will not have this engine" in told
    assert "wrong@" not in told
    assert "will not have this engine" in await fails(f"redis://127.0.0.1:{port}")


async def test_a_socket_and_its_database(tmp_path: Path) -> None:
    path = tmp_path / "two words.sock"
    with Server(valkey(), tmp_path / "server", "--unixsocket", str(path)) as server:
        quoted = str(path).replace(" ", "%20")
        assert await doubled(f"unix://{quoted}?db=3") == 42
        server.run("CONFIG", "SET", "requirepass", "word")
        assert await doubled(f"unix://:word@{quoted}?db=3") == 42
        with server.client(db=3, password="word") as client:
            assert client.dbsize() > 0
        assert "can't be reached" in await fails(f"unix://{quoted}.gone?retry_for=0.1")


async def test_a_database_that_the_server_does_not_have_is_a_wrong_setting(own_server: Server) -> None:
    assert "DB index is out of range" in await fails(f"redis://127.0.0.1:{own_server.port}/99")
