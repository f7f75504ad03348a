"""X3 to X5: where requests may go."""

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.net.addresses import AddressRefused, AddressRules, is_public

PUBLIC = "93.184.216.34"


async def public(host: str, port: int) -> Sequence[str]:
    return [PUBLIC]


@pytest.mark.case("X3")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "0127.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[fec0::1]",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[fe80::1]",
        "[fd00::1]",
        "[2001:0:7f00:1::1]",
        "[ff0e::1]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "localhost",
        "localhost.",
        "LOCALHOST",
    ],
)
async def test_no_spelling_of_an_inner_address_is_requested(host: str) -> None:
    with pytest.raises(AddressRefused):
        await AddressRules().target(f"http://{host}/")


@pytest.mark.case("X3")
@given(st.ip_addresses(v=4))
def test_ipv4_inside_of_ipv6_is_judged_as_ipv4(address: ipaddress.IPv4Address) -> None:
    bits = int(address)
    wrapped = [
        ipaddress.IPv6Address((0xFFFF << 32) | bits),
        ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | bits),
        ipaddress.IPv6Address((0x2002 << 112) | (bits << 80)),
    ]

    assert {is_public(each) for each in wrapped} == {is_public(address)}
    assert not is_public(address) or address.is_global


@pytest.mark.case("X3")
@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.case("X4")
@pytest.mark.parametrize("answers", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], []])
async def test_a_name_with_mixed_addresses_or_none_is_refused(answers: list[str]) -> None:
    async def mixed(host: str, port: int) -> Sequence[str]:
        return answers

    with pytest.raises(AddressRefused):
        await AddressRules(resolve=mixed).target("https://example.org/")


@pytest.mark.case("X4")
async def test_what_was_checked_is_what_is_connected_to() -> None:
    asked: list[str] = []

    async def turning(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    target = await AddressRules(resolve=turning).target("https://example.org/a?b=1")

    assert asked == ["example.org"]
    assert target.pinned == f"https://{PUBLIC}:443/a?b=1"
    assert (target.netloc, target.url) == ("example.org", "https://example.org/a?b=1")


@pytest.mark.case("X5")
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "unix:///run/docker.sock",
        "//example.org/",
        "example.org",
        "",
        "http://",
        "http:///path",
        "http://user@example.org/",
        "http://user:secret@example.org/",
        "http://example.org@127.0.0.1/",
        "http://example.org\r\nHost: inner/",
        "http://example.org/\nX: y",
        "http://example.org/a b",
        "http://example.org\\@127.0.0.1/",
        "http://example.org:22/",
        "http://example.org:6379/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        f"http://{'a' * 300}/",
        f"http://example.org/{'a' * 9000}",
    ],
)
async def test_only_plain_http_and_https_on_their_ports_are_requested(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        await AddressRules(resolve=public).target(url)

    assert "secret" not in str(refused.value)


async def test_hosts_addresses_and_networks_can_be_allowed() -> None:
    async def inner(host: str, port: int) -> Sequence[str]:
        return ["10.1.2.3"]

    for allowed in ("hooks.internal", "HOOKS.internal.", "10.1.2.3", "10.0.0.0/8"):
        rules = AddressRules(allowed=(allowed,), ports=(8080,), resolve=inner)
        target = await rules.target("http://hooks.internal:8080/x")
        assert target.pinned == "http://10.1.2.3:8080/x"
        assert target.netloc == "hooks.internal:8080"
    with pytest.raises(AddressRefused, match=r"not public; allow"):
        await AddressRules(allowed=("10.9.0.0/16",), resolve=inner).target("http://hooks.internal/")


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "", "a b", "10.0.0.1/8"])
def test_what_is_neither_a_host_nor_a_network_can_not_be_allowed(entry: str) -> None:
    with pytest.raises(ConfigError, match="no host, address or network"):
        AddressRules(allowed=(entry,))


def test_ports_are_ports() -> None:
    with pytest.raises(ConfigError, match="ports"):
        AddressRules(ports=(80, 70_000))


async def test_names_and_paths_of_other_scripts_are_encoded() -> None:
    asked: list[str] = []

    async def heard(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC]

    target = await AddressRules(resolve=heard).target("https://bücher.example/é?q=ü#part")

    assert asked == ["xn--bcher-kva.example"]
    assert target.url == "https://xn--bcher-kva.example/%C3%A9?q=%C3%BC"


async def test_a_name_without_an_address_may_have_one_later() -> None:
    with pytest.raises(ConnectionError, match="has no address"):
        await AddressRules().target("http://nothing.invalid/")
