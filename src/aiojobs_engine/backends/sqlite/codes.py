"""How a status is kept: as its number in the table of statuses."""

from aiojobs_engine.core.state import Status

STATUSES = (
    Status.SCHEDULED,
    Status.RETRYING,
    Status.PENDING,
    Status.PAUSED,
    Status.PROCESSING,
    Status.WAITING,
    Status.COMPLETED,
    Status.PARTIAL,
    Status.FAILED,
    Status.CANCELLED,
    Status.DISCARDED,
    Status.EXPIRED,
)
CODES = {status: code for code, status in enumerate(STATUSES)}
