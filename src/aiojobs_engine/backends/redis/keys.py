"""The layout of the keys, and the names that Python and Lua share.

Jobs live in a *home*: one hash tag, so that everything that one script touches shares a slot. One server has
a single home, `{*}`. On a Cluster each queue is one, `{mail}`, with the chunks of its bulk jobs, and `{*}`
keeps what belongs to no queue. Before all of them stands the prefix of the URL, `aiojobs` by default.

    key                     type    what is in it                                        who removes it
    aiojobs:{*}:meta        hash    place: the last one given; events: stored so far;    nobody
                                    crons: version of the entries; told: of fires
    aiojobs:{*}:jobs        zset    id -> place                                          delete, prune, retry
    aiojobs:{*}:body        hash    place -> head and envelope                           the same
    aiojobs:{*}:state       hash    place -> state; none of a job that never ran         the same
    aiojobs:{*}:lanes       hash    lane -> JSON [queue, type, version]                  nobody
    aiojobs:{*}:lane:LANE   zset    place -> -priority, of pending jobs                  claim, cancel, pause
    aiojobs:{*}:due         zset    place -> due at, of scheduled and retrying jobs      promote, cancel
    aiojobs:{*}:expiring    zset    place -> expires at, of queued jobs that may expire  claim, promote
    aiojobs:{*}:leases      zset    place -> end of the lease                            settle, rescue
    aiojobs:{*}:claims      hash    worker -> its last claim's id and places             leave, beat
    aiojobs:{*}:ended:CODE  zset    place -> finished at, of final jobs that are no      retry, delete, prune
                                    chunks
    aiojobs:{*}:kept        zset    place -> end of the result                           prune
    aiojobs:{*}:uniques     zset    digest:place of unique jobs; of queue and key        with the job
    aiojobs:{*}:tally       hash    lane and code -> number of jobs                      its last job
    aiojobs:{*}:chunks:P    zset    places of the chunks or members of the job P         with the job
    aiojobs:{*}:dependents:P zset   place:end of those that wait for the job P           its end
    aiojobs:{*}:rows:P      zset    failed rows of the job P, by number                  with the job
    aiojobs:{*}:faults:P    hash    row -> its JSON, its history, whether it is resolved with the job
    aiojobs:{*}:events      stream  n events as a JSON array b; c: events up to here     its bound
    aiojobs:{*}:places      hash    name -> MessagePack of holder, end of lease, cursor  nobody
    aiojobs:{*}:paused      set     paused queues                                        resume_queue
    aiojobs:{*}:workers     hash    worker -> its record as JSON                         leave, beat
    aiojobs:{*}:types       hash    name -> its record as JSON                           nobody
    aiojobs:{*}:crons       hash    name -> entry and its state                          remove_crons
    aiojobs:{*}:fires:NAME  list    the newest fires of an entry, as JSON                remove_crons

Scripts publish on the channels `…:wake`, when jobs became claimable, and `…:told`, when events were stored.

A *place* is a job's rank in the order of acceptance, and its address: microseconds of the server's clock,
16 digits, each given once. A *lane* stands for a queue, a type and a version: 8 characters of a digest.
Numbers stand for statuses, by their place in `STATUSES`.

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
SHARED = "*"
LANE_CHARS = 8

_encode = msgspec.json.Encoder().encode


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """What the pending jobs of a lane have in common."""

    queue: str
    type: str
    v: int


def home_key(prefix: str, tag: str) -> str:
    """The key that names a home; all its others begin like it."""
    return f"{prefix}:{{{tag}}}:meta"


def lane_name(lane: Lane) -> bytes:
    """The 8 characters that stand for a lane."""
    return urlsafe_b64encode(blake2b(_encode(lane), digest_size=6).digest())
