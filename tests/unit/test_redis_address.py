"""URLs of Redis as users write them, right and wrong, and what is said of the servers behind them."""

import logging
from typing import Any

import pytest

from aiojobs_engine.backends.redis.address import Address, Node, read_address
from aiojobs_engine.backends.redis.checks import check_info, has_script_holes, open_doors
from aiojobs_engine.core.errors import ConfigError

LOCAL = Node("localhost", 6379)


@pytest.mark.parametrize(
    "url, fields",
    [
        ("redis://", {"nodes": (LOCAL,), "kind": "server", "db": 0, "is_tls": False}),
        ("redis:///3", {"nodes": (LOCAL,), "db": 3}),
        ("redis://cache:7000/2", {"nodes": (Node("cache", 7000),), "db": 2}),
        ("REDIS://cache", {"nodes": (Node("cache", 6379),)}),
        ("redis://[::1]:7000", {"nodes": (Node("::1", 7000),)}),
        ("rediss://cache", {"is_tls": True}),
        ("redis://cache?tls=yes", {"is_tls": True}),
        ("unix:///run/redis.sock?db=4", {"path": "/run/redis.sock", "nodes": (), "db": 4}),
        ("unix:///run/two%20words.sock", {"path": "/run/two words.sock"}),
        ("unix://me:word@/run/redis.sock", {"path": "/run/redis.sock", "username": "me", "password": "word"}),
        ("redis://:word@h", {"username": None, "password": "word"}),
        ("redis://me@h", {"username": "me", "password": None}),
        ("redis://me:a%40b%3Ac%2Fd%3F%25@h/1", {"username": "me", "password": "a@b:c/d?%", "db": 1}),
        ("redis://m%C3%A9:@h", {"username": "mé", "password": ""}),
        ("redis://me:a@b@h", {"password": "a@b", "nodes": (Node("h", 6379),)}),
        (
            "redis+sentinel://a,b:7/jobs/2?sentinel_username=s&sentinel_password=p%20w",
            {
                "kind": "sentinel",
                "nodes": (Node("a", 26379), Node("b", 7)),
                "service": "jobs",
                "db": 2,
                "sentinel_username": "s",
                "sentinel_password": "p w",
            },
        ),
        (
            "redis+cluster://a:1,b:2?tls=true&tls_ca=ca.pem",
            {"kind": "cluster", "nodes": (Node("a", 1), Node("b", 2)), "is_tls": True, "tls_ca": "ca.pem"},
        ),
        (
            "rediss://h?tls_ca=a&tls_cert=b&tls_key=c&tls_verify=no",
            {"tls_ca": "a", "tls_cert": "b", "tls_key": "c", "tls_verify": False},
        ),
        (
            "redis://h?prefix=a.b:c-d_1&timeout=0.5&connect_timeout=2&retry_for=3600&any_eviction=1&max_events=9",
            {
                "prefix": "a.b:c-d_1",
                "timeout": 0.5,
                "connect_timeout": 2.0,
                "retry_for": 3600.0,
                "any_eviction": True,
                "max_events": 9,
            },
        ),
    ],
)
def test_what_a_url_says(url: str, fields: dict[str, Any]) -> None:
    address = read_address(url)

    assert {name: getattr(address, name) for name in fields} == fields


@pytest.mark.parametrize(
    "url, message",
    [
        ("redis://a,b", "one server is named here; use redis+sentinel:// or redis+cluster://"),
        ("redis://h:99999", "port 99999 does not exist"),
        ("redis://h:0", "port 0 does not exist"),
        ("redis://h:port", "'h:port' is no host:port"),
        ("redis://::1", "an IPv6 address stands in brackets"),
        ("redis://h/one", "the database is a whole number from 0, got 'one'"),
        ("redis://h/-1", "the database is a whole number from 0, got '-1'"),
        ("redis://h/1/2", "after the host comes at most a database"),
        ("redis://h/1?db=2", "a database in its path and one as an option"),
        ("unix://run/redis.sock", "is written unix:///run/redis.sock"),
        ("unix:///", "is written unix:///run/redis.sock"),
        ("unix:///s?tls=true", "nothing is encrypted on a Unix socket"),
        ("redis+sentinel://h", "name the service that the Sentinels watch"),
        ("redis+sentinel:///jobs", "name at least one host"),
        ("redis+sentinel://h/jobs/0/1", "name the service that the Sentinels watch"),
        ("redis+cluster://", "name at least one host"),
        ("redis+cluster://h/1", "a Cluster has database 0 only"),
        ("redis+cluster://h?db=1", "a Cluster has database 0 only"),
        ("redis://h?prefx=a", "unknown option 'prefx'; did you mean 'prefix'?"),
        ("redis://h?tls_cert_file=a", "unknown option 'tls_cert_file'; did you mean 'tls_cert'?"),
        ("redis://h?quux=a", "unknown option 'quux'; there are prefix, db, timeout"),
        ("redis://h?prefix=a&prefix=b", "has the option prefix twice"),
        ("redis://h?prefix={a}", "without braces"),
        ("redis://h?prefix=", "1 to 64 letters"),
        ("redis://h?timeout=soon", "timeout is seconds, more than 0 and at most an hour, got 'soon'"),
        ("redis://h?timeout=0", "timeout is seconds"),
        ("redis://h?connect_timeout=-1", "connect_timeout is seconds"),
        ("redis://h?retry_for=nan", "retry_for is seconds"),
        ("redis://h?retry_for=inf", "retry_for is seconds"),
        ("redis://h?any_eviction=maybe", "any_eviction is true or false, got 'maybe'"),
        ("redis://h?max_events=many", "max_events is a whole number from 0, got 'many'"),
        ("redis://h?max_events=١", "max_events is a whole number"),  # noqa: RUF001 - a digit, but no ASCII one
        ("rediss://h?tls_ca=", "tls_ca is empty"),
        ("rediss://h?tls=false", "rediss:// is TLS; use redis:// without"),
        ("redis://h?tls_ca=ca.pem", "the option tls_ca is for TLS; use rediss:// with it"),
        ("redis+cluster://h?tls_verify=no", "the option tls_verify is for TLS; use tls=true with it"),
        ("redis://h?sentinel_password=x", "the option sentinel_password is for redis+sentinel:// alone"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_address(url)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://me:open-barley@h?prefx=a", "redis://h?sentinel_password=open-barley"]
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_address(url)

    assert "barley" not in str(caught.value)
    assert "barley" not in read_address("redis://me:open-barley@h").shown


def told(url: str) -> list[str]:
    return [str(finding) for finding in open_doors(read_address(url))]


def test_no_password_and_no_tls_are_warned_of_off_loopback_alone() -> None:
    for local in (
        "redis://",
        "redis://127.0.0.1",
        "redis://127.8.9.1",
        "redis://[::1]",
        "unix:///run/r.sock",
    ):
        assert told(local) == []
    for safe in ("rediss://:word@cache", "redis+cluster://:word@cache?tls=true"):
        assert told(safe) == []

    assert [text.partition("; ")[2] for text in told("redis://cache")] == [
        "set one, or an ACL user",
        "use rediss://",
    ]
    assert [text.partition("; ")[2] for text in told("redis+sentinel://:word@cache/jobs")] == ["use tls=true"]
    assert len(told("rediss://cache")) == 1
    assert told("redis+cluster://localhost,cache")  # one of them is elsewhere


@pytest.mark.parametrize(
    "version, has_holes",
    [
        ("7.0.15", True),
        ("7.2.10", True),
        ("7.2.11", False),
        ("7.4.5", True),
        ("7.4.6", False),
        ("8.0.3", True),
        ("8.0.4", False),
        ("8.2.2", False),
        ("9.0.0", False),
    ],
)
def test_versions_in_which_scripts_break_out_are_known(version: str, has_holes: bool) -> None:  # noqa: FBT001
    assert has_script_holes({"redis_version": version}) is has_holes


@pytest.mark.parametrize(
    "version, has_holes",
    [
        ("7.2.10", True),
        ("7.2.11", False),
        ("8.0.5", True),
        ("8.1.4", False),
        ("9.0.0", False),
        ("9.1.2", False),
    ],
)
def test_valkey_counts_its_own_versions(version: str, has_holes: bool) -> None:  # noqa: FBT001
    assert has_script_holes({"redis_version": "7.2.4", "valkey_version": version}) is has_holes


def info(**fields: str) -> dict[str, str]:
    return {"redis_version": "8.2.2", "cluster_enabled": "0", "maxmemory_policy": "noeviction", **fields}


def test_servers_that_lose_jobs_are_refused_and_others_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    address: Address = read_address("redis://")
    check_info(info(), "here", address)
    assert caplog.text == ""

    with pytest.raises(ConfigError, match=r"here is Redis 6\.2\.14; 7\.0 is the oldest that will do"):
        check_info(info(redis_version="6.2.14"), "here", address)
    with pytest.raises(ConfigError, match=r"belongs to a Cluster; use redis\+cluster://"):
        check_info(info(cluster_enabled="1"), "here", address)
    check_info(info(cluster_enabled="1"), "here", read_address("redis+cluster://h"))
    for policy in ("allkeys-lru", "volatile-ttl", "allkeys-random"):
        with pytest.raises(ConfigError, match=rf"{policy}.*any_eviction=true"):
            check_info(info(maxmemory_policy=policy), "here", address)
    with caplog.at_level(logging.WARNING):
        check_info(info(maxmemory_policy="allkeys-lru"), "here", read_address("redis://?any_eviction=yes"))
        check_info(info(redis_version="7.0.0"), "here", address)
    assert "throws jobs away" in caplog.text
    assert "break out of their sandbox" in caplog.text
