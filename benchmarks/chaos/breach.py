"""What a checker finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breach:
    """A law that a job broke."""

    law: str
    job_id: str
    detail: str
