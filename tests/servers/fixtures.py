"""Fixtures of real servers, for all tests: Valkey of the wheel always, Redis where there is one on PATH."""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.docs.markdown import page
from tests.servers.groups import Cluster, Watched
from tests.servers.server import Server, redis_on_path, valkey, version

GIVEN = os.environ.get("AIOJOBS_TEST_REDIS_URL")
CLUSTER = "cluster"
NARROW = "narrow"
USER = "jobs"

_NUMBERS = itertools.count()


def binaries() -> dict[str, Path]:
    """The servers that can be started here, by name."""
    found = {"valkey": valkey()}
    if (path := redis_on_path()) is not None:
        found["redis"] = path
    return found


def kinds() -> list[str]:
    """What the tests run on; `given` is the server of AIOJOBS_TEST_REDIS_URL."""
    return [*(["given"] if GIVEN else []), *binaries(), CLUSTER]


def pytest_report_header() -> str:
    names = [f"{version(path)} ({path})" for path in binaries().values()]
    return f"servers: {', '.join([*(['AIOJOBS_TEST_REDIS_URL'] if GIVEN else []), *names])}"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """One server of each kind, for all tests that leave it as it is; keep to a prefix of your own."""
    started: dict[str, Server] = {}
    try:
        for name, path in binaries().items():
            started[name] = Server(path, tmp_path_factory.mktemp(name))
            started[name].start()
        yield started
    finally:
        for server in started.values():
            server.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Cluster of three Valkeys, for all tests that leave it as it is."""
    with Cluster(valkey(), tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A primary and a replica under two Sentinels, which may fail over."""
    with Watched(valkey(), tmp_path_factory.mktemp("watched")) as watched:
        yield watched


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"test{os.getpid()}-{next(_NUMBERS)}"


@pytest.fixture(params=kinds())
def redis_url(request: pytest.FixtureRequest, prefix: str) -> str:
    """A URL of each kind of server in turn, with a prefix of its own."""
    return _url(request, prefix)


def _url(request: pytest.FixtureRequest, prefix: str) -> str:
    if request.param == "given":
        assert GIVEN is not None
        return f"{GIVEN}{'&' if '?' in GIVEN else '?'}prefix={prefix}"
    if request.param == CLUSTER:
        url = request.getfixturevalue("cluster").url
    else:
        url = request.getfixturevalue("servers")[request.param].url
    return f"{url}?prefix={prefix}"


def narrow(words: Iterable[str], server: Server, prefix: str) -> str:
    """Make the user of an ACL rule, for keys of `prefix` alone; the URL for it."""
    name, password = f"{USER}-{prefix}", "open sesame"
    rules = [word.replace("aiojobs:", f"{prefix}:") for word in words]
    rules = [f">{password}" if word.startswith(">") else word for word in rules]
    server.run("ACL", "SETUSER", name, *rules)
    return f"redis://{name}:{quote(password)}@127.0.0.1:{server.port}/0?prefix={prefix}"


def documented_rule(language: str = "acl") -> list[str]:
    """The words of the ACL rule that the docs give, without `user` and the name."""
    (block,) = (each for each in page("docs/how-to/run-on-redis.md").blocks if each.language == language)
    return block.text.split()[2:]


@pytest.fixture(params=[NARROW, *(kind for kind in kinds() if kind != "valkey")])
def store_url(request: pytest.FixtureRequest, prefix: str) -> str:
    """A URL of each kind of server in turn; on Valkey as the user that the docs describe."""
    if request.param == NARROW:
        return narrow(documented_rule(), request.getfixturevalue("servers")["valkey"], prefix)
    return _url(request, prefix)


@pytest.fixture
def valkey_url(servers: dict[str, Server], prefix: str) -> str:
    """A URL of the wheel's Valkey, with a prefix of its own."""
    return f"{servers['valkey'].url}?prefix={prefix}"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A Valkey that the test may hurt; it keeps what it is told, as `appendfsync always` does."""
    options = ("--appendonly", "yes", "--appendfsync", "always", "--loglevel", "notice")
    with Server(valkey(), tmp_path / "server", *options) as server:
        yield server
