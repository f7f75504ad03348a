"""A heap that jobs can be taken out of at any time."""

from heapq import heapify, heappop, heappush

from aiojobs_engine.backends.memory.records import StoredJob

_SLACK = 64


class Shelf:
    """Jobs in order of a number, then of their place. What is taken out leaves a husk, cleared in time.

    Husks never outnumber twice the jobs by more than a constant, so that memory follows the jobs.
    """

    __slots__ = ("_heap", "_jobs")

    def __init__(self) -> None:
        """Start empty."""
        self._heap: list[tuple[int, int]] = []
        self._jobs: dict[int, tuple[int, StoredJob]] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: StoredJob, number: int) -> None:
        """Put a job in, or move it to another number."""
        self._jobs[job.place] = (number, job)
        heappush(self._heap, (number, job.place))
        self._clear()

    def take(self, job: StoredJob) -> None:
        """Take a job out; one that is not there is fine."""
        if self._jobs.pop(job.place, None) is not None:
            self._clear()

    def first(self) -> tuple[int, int, StoredJob] | None:
        """The number, the place and the job that come first, None of an empty shelf."""
        while self._heap:
            number, place = self._heap[0]
            held = self._jobs.get(place)
            if held is not None and held[0] == number:
                return number, place, held[1]
            heappop(self._heap)
        return None

    def before(self, job: StoredJob) -> int:
        """How many come before a pending job."""
        own = (job.number, job.place)
        return sum((number, place) < own for place, (number, _) in self._jobs.items())

    def due(self, now: int, limit: int) -> list[StoredJob]:
        """Take out at most `limit` jobs whose number is reached, in order."""
        found: list[StoredJob] = []
        while len(found) < limit and (head := self.first()) is not None and head[0] <= now:
            self.take(head[2])
            found.append(head[2])
        return found

    def jobs(self) -> list[StoredJob]:
        """All jobs, in no order."""
        return [job for _, job in self._jobs.values()]

    def _clear(self) -> None:
        if len(self._heap) > _SLACK + 2 * len(self._jobs):
            self._heap = [(number, place) for place, (number, _) in self._jobs.items()]
            heapify(self._heap)
