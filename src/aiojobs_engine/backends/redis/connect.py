"""How connections are opened: by redis-py, without its retries."""

from collections.abc import Callable
from ssl import create_default_context
from typing import Any, cast

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from aiojobs_engine.backends.redis.address import Address, Node
from aiojobs_engine.backends.redis.errors import Cut, Refused
from aiojobs_engine.backends.redis.wire import LocalServer, SecureServer, Server, Wire
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.ports.clock import Clock


class Connector:
    """Opens wires to the servers of one address."""

    def __init__(self, address: Address, clock: Clock) -> None:
        """Touch nothing."""
        self._address = address
        self._clock = clock
        self._has_checked = False

    async def wire(self, node: Node | None, on_push: Callable[[Any], None] | None = None) -> Wire:
        """An open, authenticated connection to `node`, None is the Unix socket.

        Raises:
            Cut: it can't be reached.
            Refused: it was reached and will not have us.
        """
        name = str(node or self._address.path)
        connection = self._connection(node)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise _trouble(error, name) from error
        wire = Wire(name, self._clock, self._address.timeout, on_push)
        wire.take_over(connection.hand_over())
        return wire

    async def primary(self) -> Node | None:
        """Where writes go: the server of the URL, or the one that the Sentinels name now.

        Raises:
            Cut: no Sentinel answers, or none knows a primary of this name.
        """
        address = self._address
        if address.kind != "sentinel":
            return address.nodes[0] if address.nodes else None
        sentinels = Sentinel(  # type: ignore[no-untyped-call]
            [(node.host, node.port) for node in address.nodes],
            sentinel_kwargs={
                "username": address.sentinel_username,
                "password": address.sentinel_password,
                "socket_timeout": address.connect_timeout,
                "socket_connect_timeout": address.connect_timeout,
                "retry": Retry(NoBackoff(), 0),
                "protocol": 2,
                **self._tls(),
            },
        )
        try:
            found = cast("tuple[str, int]", await sentinels.discover_master(address.service))
        except RedisError as error:
            raise _trouble(error, "the Sentinels") from error
        finally:
            await sentinels.aclose()
        return Node(found[0], int(found[1]))

    def _tls(self) -> dict[str, Any]:
        return {"ssl": True, **self._certificates()} if self._address.is_tls else {}

    def _certificates(self) -> dict[str, Any]:
        address = self._address
        return {
            "ssl_ca_certs": address.tls_ca,
            "ssl_certfile": address.tls_cert,
            "ssl_keyfile": address.tls_key,
            "ssl_cert_reqs": "required" if address.tls_verify else "none",
            "ssl_check_hostname": address.tls_verify,
        }

    def _connection(self, node: Node | None) -> Server | SecureServer | LocalServer:
        address = self._address
        common: dict[str, Any] = {
            "db": address.db,
            "username": address.username,
            "password": address.password,
            "socket_timeout": address.connect_timeout,
            "socket_connect_timeout": address.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        }
        if node is None:
            return LocalServer(path=address.path or "", **common)
        if not address.is_tls:
            return Server(host=node.host, port=node.port, **common)
        self._check_files()
        return SecureServer(host=node.host, port=node.port, **self._certificates(), **common)

    def _check_files(self) -> None:
        """Read the files of TLS once: redis-py would, too, and take one that is missing for a lost server."""
        address = self._address
        if self._has_checked:
            return
        try:
            context = create_default_context(cafile=address.tls_ca)
            if address.tls_cert is not None:
                context.load_cert_chain(address.tls_cert, address.tls_key)
        except OSError as error:
            raise ConfigError(f"{address.shown}: its TLS options can't be used: {error}") from error
        self._has_checked = True


def _trouble(error: RedisError | OSError, name: str) -> Cut | Refused:
    """What a failed handshake tells; redis-py takes the codes off the servers' texts."""
    match error:
        case BusyLoadingError():
            return Refused(f"LOADING {error}")
        case AuthenticationError():
            return Refused(f"WRONGPASS {error}")
        case NoPermissionError():
            return Refused(f"NOPERM {error}")
        case ResponseError():
            return Refused(f"ERR {error}")
        case _:
            return Cut(f"{name}: {error}")
