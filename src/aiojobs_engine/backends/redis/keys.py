"""The layout of the keys, and the names that Python and Lua share.

Jobs live in a *home*: one hash tag, so that everything that one script touches shares a slot. The tag is the
prefix of the URL, `aiojobs` by default, which stands before it too: `aiojobs:{aiojobs}:meta`. A store may lie
in several homes (`homes=` in the URL), of which that is the first; the others have tags like `aiojobs.1.226`,
the number of the home and the first one that brings the slot of the tag to its place: homes lie at even
distances around the slots. On this page `{*}` is written for the tag. What belongs to no home is in the
first: the number of homes, durable places, job types. Workers are in all, for their claims.

    key                     type    what is in it                                        who removes it
    aiojobs:{*}:meta        hash    base, place: the first and the last one given;       nobody
                                    events, fires: told so far; crons: version of the
                                    entries; limits: those in force; homes: how many the
                                    store has, in the first
    aiojobs:{*}:jobs        zset    id -> place                                          delete, prune, retry
    aiojobs:{*}:body        hash    place -> head and envelope                           the same
    aiojobs:{*}:state       hash    place -> state; none of a job that never ran         the same
    aiojobs:{*}:lanes       hash    lane -> JSON [queue, type, version]                  nobody
    aiojobs:{*}:lane:LANE   zset    name -> -priority, of pending jobs                   claim, cancel, pause
    aiojobs:{*}:due         zset    place -> due at, of scheduled and retrying jobs      promote, cancel
    aiojobs:{*}:expiring    zset    place -> expires at, of queued jobs that may expire  claim, promote
    aiojobs:{*}:leases      zset    place -> end of the lease                            settle, rescue
    aiojobs:{*}:claims      hash    worker -> its last claim's id and places             leave, beat
    aiojobs:{*}:ended:CODE  zset    place -> finished at, of final jobs that are no      retry, delete, prune
                                    chunks
    aiojobs:{*}:kept        zset    place -> end of the result                           prune
    aiojobs:{*}:uniques     zset    digest:place of unique jobs; of queue and key        with the job
    aiojobs:{*}:tally       hash    lane and code -> number of jobs                      its last job
    aiojobs:{*}:limits      hash    queue, type, 1 by key else 0, origin -> JSON         set_limits
    aiojobs:{*}:rates       hash    queue and type -> what was taken                     nobody
    aiojobs:{*}:lines       hash    line -> queue, type, running, taken from its rate    its last job
    aiojobs:{*}:open:LINE   zset    names of pending jobs of a key that may be claimed   claim, cancel, pause
    aiojobs:{*}:parked:LINE zset    names of those that its limits hold back             claim, cancel, pause
    aiojobs:{*}:again       zset    line -> when to look at it                           claim
    aiojobs:{*}:turns       hash    queue and priority -> clock of fair turns            nobody
    aiojobs:{*}:ends:Q      zset    fair key -> end of its last turn; of a queue and     prune
                                    priority
    aiojobs:{*}:chunks:P    zset    places of the chunks or members of the job P         with the job
    aiojobs:{*}:dependents:P zset   place:end of those that wait for the job P           its end
    aiojobs:{*}:lost:P      zset    place:epoch of those cancelled for want of the job P with the job
    aiojobs:{*}:rows:P      zset    failed rows of the job P, by number                  with the job
    aiojobs:{*}:faults:P    hash    row -> its JSON, its history, whether it is resolved with the job
    aiojobs:{*}:events      stream  n events as a JSON array b; c: events up to here;    its bound
                                    one without events is a fence
    aiojobs:{*}:places      hash    name -> MessagePack of holder, end of lease, cursor  nobody
    aiojobs:{*}:paused      set     paused queues                                        resume_queue
    aiojobs:{*}:waiting     hash    idle worker -> its next claim and its lanes          claim, leave, beat
    aiojobs:{*}:workers     hash    worker -> its record as JSON                         leave, beat
    aiojobs:{*}:types       hash    name -> its record as JSON                           nobody
    aiojobs:{*}:crons       hash    name -> entry and its state                          remove_crons
    aiojobs:{*}:fires:NAME  list    the newest fires of an entry, as JSON                remove_crons
    aiojobs:{*}:executions  hash    end.token.job -> MessagePack of job, type, cron      its bound
                                    entry and record of a run
    aiojobs:{*}:executed    zset    where runs stand, by name: `a`, or `j`, `t` or `c`   with the run
                                    and job, type or cron entry, then a byte of 0 and the run

Scripts publish on the channels `…:wake`, when jobs became claimable, on `…:wake:WORKER` for one idle worker
instead, with the job that it is handed if any, and on `…:told`, when events were stored.

A *place* is a job's rank in the order of acceptance, and its address: 16 digits, each given once. They begin
at the microsecond of the first job, so that a server that forgot all gives none of them again. The *name* of
a pending job is its place, with its fair turn before it when it has one. A *lane* stands for a queue, a type
and a version: 8 characters of a digest; a *line* for a queue, a type and a key of limits. Numbers stand for
statuses, by their place in `STATUSES`.

A *head* is 43 bytes (`HEAD`: three lengths, a byte that is not 0 when the job has a user, parent, total,
priority or end, then lane, priority, expires at or -1, created at, total) and three pieces of JSON of those
lengths, which events are made of: `"id","type","kind","queue"`, the user, the parent's id. The envelope
follows it.

A *state* is a MessagePack array: status, token, attempts, crashes, started at, finished at, worker, lane,
rest, result; `false` where there is none. An eleventh, `true`, stands in that of a job which was claimed
ahead and has not begun. The rest is a map of what few jobs have: `rows.Rest`.
"""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from struct import Struct

import msgspec

from aiojobs_engine.core.state import Status

STATUSES = (
    Status.SCHEDULED,
    Status.WAITING,
    Status.PENDING,
    Status.PROCESSING,
    Status.PAUSED,
    Status.RETRYING,
    Status.COMPLETED,
    Status.PARTIAL,
    Status.FAILED,
    Status.CANCELLED,
    Status.DISCARDED,
    Status.EXPIRED,
)
CODES = {status: code for code, status in enumerate(STATUSES)}
HEAD = Struct("<HHHB8siddd")
LANE_CHARS = 8
PLACE_BITS = 54
PLACE = (1 << PLACE_BITS) - 1
"""The part of `Lease.ref` that is a job's place; the number of its home stands above it."""

_encode = msgspec.json.Encoder().encode


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """What the pending jobs of a lane have in common."""

    queue: str
    type: str
    v: int


def home_key(prefix: str, tag: str | None = None) -> str:
    """The key that names a home; all its others begin like it. The tag of the first home is the prefix."""
    return f"{prefix}:{{{tag or prefix}}}:meta"


def lane_name(lane: Lane) -> bytes:
    """The 8 characters that stand for a lane."""
    return urlsafe_b64encode(blake2b(_encode(lane), digest_size=6).digest())
