"""For programs that receive webhooks of the engine."""

from collections.abc import Mapping

from aiojobs_engine.core.webhooks import TOLERANCE, verify
from aiojobs_engine.runtime.system_clock import SystemClock


def verify_webhook(
    body: bytes, headers: Mapping[str, str], secret: str, *, tolerance: float = TOLERANCE
) -> str:
    """The id of a webhook that was signed with `secret` within `tolerance` seconds; the same for repeats.

    Args:
        body: as it arrived, byte for byte.
        headers: in any case.

    Raises:
        SignatureMismatch: a header is missing, the time is too far off, or no signature fits.
    """
    return verify(body, headers, secret, now=SystemClock().now() / 1000, tolerance=tolerance)
