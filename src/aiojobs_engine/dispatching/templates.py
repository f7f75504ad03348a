"""Envelopes, made cheaply: what the jobs of one type and set of options have in common is worked out once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from aiojobs_engine.core.codec import encode_json
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, PayloadError, PayloadTooLarge, UnknownJobType
from aiojobs_engine.core.instant import Instant, instant, later
from aiojobs_engine.core.job import CALL_OPTIONS, Job, checked_options
from aiojobs_engine.core.limiting import key_of, limit_names
from aiojobs_engine.core.limits import NAME_CHARS, checked_name
from aiojobs_engine.core.options import published, resolve
from aiojobs_engine.core.retry import Retry, RetrySpec
from aiojobs_engine.core.unique import Unique, unique_key
from aiojobs_engine.dispatching.names import checked_payload
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.control import TypeRecord
from aiojobs_engine.ports.inspector import Inspector
from aiojobs_engine.runtime.registry import JobRegistry, JobType

_KEPT = 5.0
_PLAIN = (
    "cost",
    "limit_key",
    "fair_key",
    "fair_weight",
    "queue",
    "priority",
    "user_id",
    "tags",
    "meta",
    "timeout",
    "result_ttl",
    "max_crashes",
)
_NOTHING: Mapping[str, Any] = {}


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What the envelopes of one type and one set of call options have in common.

    Attributes:
        prototype: an envelope that lacks only id, payload and times.
        options: the call options that it was made for.
        delay, at, expires: times that count from the dispatch.
        unique: the rule of unique jobs, None of others.
        limit_by: the arguments that make the key of its limits; None where there are none by key.
    """

    prototype: Envelope
    options: Mapping[str, Any]
    is_plain: bool = True
    delay: float | None = None
    at: datetime | None = None
    expires: float | datetime | None = None
    unique: Unique | None = None
    limit_by: tuple[str, ...] | None = None


class Templates:
    """The templates of an engine, by type; those of types that are not registered here last 5 seconds."""

    def __init__(
        self, inspector: Inspector, *, clock: Clock, settings: Settings, registry: JobRegistry
    ) -> None:
        """Resolve options by `settings`; ask `inspector` what workers published."""
        self._inspector = inspector
        self._clock = clock
        self._settings = settings
        self._registry = registry
        self._limit = settings.limits.payload_bytes
        self._fair = {name: queue for name, queue in settings.queues.items() if queue.fair_by is not None}
        self._registered: dict[str, Template] = {}
        self._published: dict[str, TypeRecord] = {}
        self._published_until = float("-inf")
        self._last: Template | None = None

    def adopt(self, job_type: JobType[..., Any]) -> None:
        """Know a type whose handler is at hand, though its registry was not included."""
        if job_type.name not in self._registered and job_type.name not in self._registry.types:
            self._registered[job_type.name] = self._base(job_type.name, job_type.kind, job_type.decorated)

    def envelope(self, job: Job[Any]) -> Envelope | None:
        """The envelope of `job`, dispatched now; None for a type that must be looked up first.

        Raises:
            PayloadTooLarge: the arguments take more than `limits.payload_bytes`.
            PayloadError: the payload is not one that `handler.job(...)` makes.
            ConfigError: an option or the id can't be used.
        """
        template = self._last
        if template is None or template.options is not job.options or template.prototype.type != job.type:
            base = self._registered.get(job.type) or self._first(job.type)
            if base is None:
                return None
            template = self._last = overlaid(base, job, self._limit) if job.options else base
        return self._made(template, job)

    async def looked_up(self, job: Job[Any]) -> Envelope:
        """The envelope of a job whose type is not registered here.

        Raises:
            UnknownJobType: no worker has published it, and no queue is given.
        """
        record = await self.published(job.type)
        if record is not None:
            known = {name: value for name, value in record.options.items() if name in CALL_OPTIONS}
            decorated = checked_options(known, CALL_OPTIONS, record.name)
            base = self._base(job.type, record.kind, {**decorated, "queue": record.queue})
            base = _limited(base, tuple(record.options.get("limit_by", ())))
        elif "queue" in job.options:
            base = self._base(job.type, job.kind, _NOTHING)
        else:
            raise UnknownJobType(job.type, {*self._registry.names(), *self._published})
        checked_payload(job, record)
        return self._made(overlaid(base, job, self._limit), job)

    async def published(self, name: str) -> TypeRecord | None:
        """What the workers of a type published; a known one is read again after 5 seconds."""
        now = self._clock.monotonic()
        if name not in self._published or now >= self._published_until:
            self._published = {record.name: record for record in await self._inspector.types()}
            self._published_until = now + _KEPT
        return self._published.get(name)

    def record(self, name: str) -> TypeRecord:
        """A type that is registered here, as its workers publish it.

        Raises:
            UnknownJobType: it is not registered here.
        """
        job_type = self._registry.get(name)
        resolved = resolve(name, job_type.kind, job_type.decorated, self._settings)
        return TypeRecord(
            name=name,
            kind=job_type.kind,
            queue=resolved.queue,
            options=published(resolved),
            schema=job_type.arguments.schema(),
        )

    def _first(self, name: str) -> Template | None:
        job_type = self._registry.types.get(name)
        if job_type is None:
            return None
        template = self._base(name, job_type.kind, job_type.decorated)
        self._registered[name] = template
        return template

    def _base(self, name: str, kind: str, decorated: Mapping[str, Any]) -> Template:
        resolved = resolve(name, kind, decorated, self._settings)
        own = {key: value for key, value in resolved.extra.items() if key in CALL_OPTIONS and key != "id"}
        prototype = Envelope(
            id="",
            type=name,
            kind=kind,
            payload=msgspec.Raw(),
            created_at=Instant(0),
            queue=resolved.queue,
            priority=resolved.priority,
        )
        made = _with_options(Template(prototype=prototype, options=_NOTHING), own, self._limit, _NOTHING)
        return _limited(made, limit_names(resolved.extra, name) or ())

    def _made(self, template: Template, job: Job[Any]) -> Envelope:
        payload = job.payload
        if len(payload) > self._limit:
            raise PayloadTooLarge(
                f"the arguments of {job.type} take {len(payload):,} bytes, limits.payload_bytes is "
                f"{self._limit:,}; store the data and pass a reference"
            )
        if payload[:1] != b"{" or payload[-1:] != b"}":
            raise PayloadError(
                f"the payload of a job is a JSON object; make jobs of {job.type} with its .job(...)"
            )
        now = self._clock.now()
        prototype = template.prototype
        job_id = job.id
        # three times as fast as the pattern, and true of every id made here
        if not (type(job_id) is str and len(job_id) <= NAME_CHARS and job_id.isascii() and job_id.isalnum()):
            checked_name(job_id, "a job id")
        if template.is_plain and prototype.queue not in self._fair:
            return msgspec.structs.replace(
                prototype,
                id=job_id,
                payload=msgspec.Raw(payload),
                created_at=now,
                strategy=job.strategy,
            )
        due_at, expires_at = _times(template, now)
        if expires_at is not None and due_at is not None and expires_at <= due_at:
            raise ConfigError(f"{job.type}: the job would expire before it is due, so it could never start")
        return msgspec.structs.replace(
            prototype,
            id=job_id,
            payload=msgspec.Raw(payload),
            created_at=now,
            strategy=job.strategy,
            scheduled_at=due_at,
            expires_at=expires_at,
            unique=None if template.unique is None else unique_key(template.unique, job.type, payload),
            **self._keys(template, payload),
        )

    def _keys(self, template: Template, payload: bytes) -> dict[str, Any]:
        """For whom the job runs, as far as its options don't say it."""
        prototype, keys = template.prototype, dict[str, Any]()
        if template.limit_by is not None and prototype.limit_key is None:
            keys["limit_key"] = key_of(payload, template.limit_by, prototype.type)
        queue = self._fair.get(prototype.queue)
        if queue is not None and prototype.fair_key is None:
            keys["fair_key"] = key = _fair_key(queue.fair_by or "", prototype, payload)
            keys["fair_weight"] = queue.weights.get(key, 1.0)
        return keys


def overlaid(base: Template, job: Job[Any], limit: int) -> Template:
    """`base` with the options of a call.

    Raises:
        ConfigError: an option is unknown or out of range.
        PayloadError: `meta` or `user_id` can't be JSON.
    """
    checked = checked_options(job.options, CALL_OPTIONS, job.type)
    checked.pop("id", None)
    return _with_options(base, checked, limit, job.options)


def _with_options(
    base: Template, checked: Mapping[str, Any], limit: int, options: Mapping[str, Any]
) -> Template:
    fields = {name: checked[name] for name in _PLAIN if name in checked}
    if "meta" in fields or "user_id" in fields:
        _check_carried(base.prototype.type, fields.get("meta", {}), fields.get("user_id"), limit)
    if "after" in checked:
        fields["needs"] = checked["after"]
    if "retry" in checked:
        fields["retry"] = _travelling(checked["retry"], base.prototype.type)
    delay, at = base.delay, base.at
    if "delay" in checked or "at" in checked:
        delay, at = checked.get("delay"), checked.get("at")
    expires = checked.get("expires", base.expires)
    unique = checked.get("unique", base.unique)
    if unique is not None and unique.mode != "keep":
        _check_replaceable(base.prototype, at, unique)
        delay = unique.delay if unique.mode == "debounce" else delay
    return Template(
        prototype=msgspec.structs.replace(base.prototype, **fields),
        options=options,
        is_plain=delay is None
        and at is None
        and expires is None
        and unique is None
        and base.limit_by is None,
        delay=delay,
        at=at,
        expires=expires,
        unique=unique,
        limit_by=base.limit_by,
    )


def _limited(template: Template, names: tuple[str, ...]) -> Template:
    return msgspec.structs.replace(template, limit_by=names, is_plain=False) if names else template


def _fair_key(fair_by: str, prototype: Envelope, payload: bytes) -> str:
    if fair_by == "user_id":
        return "" if prototype.user_id is None else str(prototype.user_id)
    if fair_by == "type":
        return prototype.type
    given = msgspec.json.decode(payload, type=dict[str, Any])
    return key_of(payload, [fair_by], prototype.type) if given.get(fair_by) is not None else ""


def _check_replaceable(prototype: Envelope, at: datetime | None, unique: Unique) -> None:
    if prototype.kind != "job":
        raise ConfigError(
            f"{prototype.type}: a job of kind {prototype.kind} can't be replaced; use mode='keep'"
        )
    if at is not None and unique.mode == "debounce":
        raise ConfigError(f"{prototype.type}: at and mode='debounce' exclude each other")


def _times(template: Template, now: Instant) -> tuple[Instant | None, Instant | None]:
    due_at: Instant | None = None
    if template.delay is not None:
        due_at = later(now, template.delay)
    elif template.at is not None:
        due_at = instant(template.at)
    expires = template.expires
    if expires is None:
        return due_at, None
    return due_at, instant(expires) if isinstance(expires, datetime) else later(now, expires)


def _travelling(retry: Retry, owner: str) -> RetrySpec:
    if retry.is_custom or retry.on is not BaseException or retry.never_on != ():
        raise ConfigError(
            f"{owner}: only a schedule travels with one job; "
            "set a custom policy, on= and never_on= where the job type is registered"
        )
    return retry.spec


def _check_carried(owner: str, meta: Mapping[str, Any], user_id: object, limit: int) -> None:
    encoded = encode_json([meta, user_id], f"{owner}: meta")
    if len(encoded) > limit:
        raise PayloadTooLarge(
            f"meta of {owner} takes {len(encoded):,} bytes, limits.payload_bytes is {limit:,}"
        )
    if msgspec.json.decode(encoded) != [meta, user_id]:
        raise PayloadError(
            f"{owner}: meta must be plain JSON data, it would arrive changed: {dict(meta)!r:.200}"
        )
