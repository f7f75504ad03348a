"""Laws of what a store did call by call, which only somebody beside it can see, and of cron."""

from collections import Counter
from collections.abc import Iterator

from chaos.breach import Breach
from chaos.history import Call, History

_GIVES = frozenset({"claimed", "rescued"})
_STAMP_CHARS = len("20260101T000000Z")


def tokens_fence(history: History) -> Iterator[Breach]:
    """The tokens of a job's leases rise by one; what was accepted of a run carried the newest of them."""
    newest: Counter[str] = Counter()
    for call in history.calls:
        last = newest[call.job_id]
        if call.verb in _GIVES:
            if call.token != last + 1:
                yield Breach("tokens", call.job_id, f"{call.verb} under {call.token} after {last}")
            newest[call.job_id] = call.token
        elif call.accepted and call.token != last:
            yield Breach("tokens", call.job_id, f"{call.verb} under {call.token}, the newest was {last}")


def leases_are_alone(history: History) -> Iterator[Breach]:
    """Nobody gets a lease on a job while another one runs."""
    live: dict[str, Call] = {}
    for call in history.calls:
        held = live.get(call.job_id)
        if call.verb in _GIVES:
            if held is not None and call.at < held.until:
                yield Breach(
                    "leases",
                    call.job_id,
                    f"{call.verb} at {call.at:.3f} s, the lease {held.token} ran until {held.until:.3f} s",
                )
            live[call.job_id] = call
        elif held is not None and call.accepted and call.token == held.token:
            if call.verb == "extended":
                live[call.job_id] = call
            elif call.verb == "settled":
                del live[call.job_id]


def lost_leases_are_found(history: History) -> Iterator[Breach]:
    """A lease that ran out is taken over soon, unless its holder renews or settles it late."""
    if history.latest_rescue is None or not history.calls:
        return
    live: dict[str, Call] = {}
    for call in history.calls:
        held = live.pop(call.job_id, None)
        if held is not None and call.at > held.until + history.latest_rescue:
            yield Breach("leases", call.job_id, f"lost at {held.until:.3f} s, found at {call.at:.3f} s")
        if call.verb in _GIVES or (call.verb == "extended" and call.accepted):
            live[call.job_id] = call
        elif held is not None and not (call.verb == "settled" and call.accepted):
            live[call.job_id] = held
    end = history.calls[-1].at
    for held in live.values():
        if end > held.until + history.latest_rescue:
            yield Breach("leases", held.job_id, f"lost at {held.until:.3f} s, and nobody found it")


def crons_fire_once(history: History) -> Iterator[Breach]:
    """Each instant of a cron entry has one job."""
    found = Counter(instant for job_id in history.jobs if (instant := fired(history, job_id)) is not None)
    for (name, at), number in found.items():
        if number > 1:
            yield Breach("cron", f"cron:{name}:{at}", f"fired {number} times")
    for name, instants in history.crons.items():
        for at in instants:
            if not found[name, at]:
                yield Breach("cron", f"cron:{name}:{at}", "never fired")


def fired(history: History, job_id: str) -> tuple[str, str] | None:
    """The entry and the instant that a job was fired for; None of other jobs."""
    what, _, rest = job_id.partition(":")
    name, _, at = rest.partition(":")
    return (name, at[:_STAMP_CHARS]) if what == "cron" and name in history.crons else None
