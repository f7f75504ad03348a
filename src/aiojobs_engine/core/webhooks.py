"""Signed webhooks: what is signed, and how a receiver checks it.

Source: the Standard Webhooks specification, signature scheme `v1`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from aiojobs_engine.core.errors import ConfigError, EngineError

TOLERANCE = 300.0

_ENCODED = "whsec_"


class SignatureMismatch(EngineError):
    """A webhook that nobody with the secret has signed, or not within the tolerance."""


def signed(message_id: str, at: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers that sign a body; `at` in seconds since the epoch."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{_signature(message_id, str(at), body, secret)}",
    }


def verify(
    body: bytes, headers: Mapping[str, str], secret: str, *, now: float, tolerance: float = TOLERANCE
) -> str:
    """The id of a webhook that was signed with `secret` within `tolerance` seconds; the same for repeats.

    Args:
        body: as it arrived, byte for byte.
        headers: in any case.
        now: seconds since the epoch.

    Raises:
        SignatureMismatch: a header is missing, the time is too far off, or no signature fits.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, at, signatures = (
        given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not message_id or not at.isascii() or not at.isdigit():
        raise SignatureMismatch("the webhook has no id or no timestamp")
    if abs(now - int(at[:12])) > tolerance:
        raise SignatureMismatch(f"the webhook was signed more than {tolerance:g} s ago, or will be")
    wanted = _signature(message_id, at, body, secret)
    found = [each.partition(",") for each in signatures.split()]
    fits = [
        hmac.compare_digest(value.encode(), wanted.encode()) for version, _, value in found if version == "v1"
    ]
    if not any(fits):
        raise SignatureMismatch("no signature of the webhook fits the secret and the body")
    return message_id


def _signature(message_id: str, at: str, body: bytes, secret: str) -> str:
    signed_bytes = b".".join([message_id.encode(), at.encode(), body])
    return base64.b64encode(hmac.digest(_key(secret), signed_bytes, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    if not secret:
        raise ConfigError("a webhook is signed with a secret; give one")
    if not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error as error:
        raise ConfigError(
            "a secret that begins with whsec_ goes on in base64, and this one doesn't"
        ) from error
