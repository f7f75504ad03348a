"""Log records without secrets."""

import logging
from traceback import format_exception

from aiojobs_engine.core.masking import Masker, masker_of

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class MaskingFilter(logging.Filter):
    """Masks messages, tracebacks and extra fields of the records that pass; add it to handlers.

    The exception itself is taken from the record, for its arguments may hold what its text must not show; the
    masked traceback stays.
    """

    def __init__(self, masker: Masker | None = None) -> None:
        """Mask by `masker`, such as `engine.settings.masker`; without one by the built-in rules."""
        super().__init__()
        self._masker = masker or masker_of()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask `record`, and let it pass."""
        mask = self._masker.text
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging itself reports records whose arguments don't fit
            return True
        record.msg, record.args = mask(message), None
        if record.exc_info is not None:
            record.exc_text = record.exc_text or "".join(_told(record)).rstrip()
            record.exc_info = None
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        for name in vars(record).keys() - _STANDARD:
            vars(record)[name] = self._masker.data({name: vars(record)[name]})[name]
        return True


def _told(record: logging.LogRecord) -> list[str]:
    kind, error, trace = record.exc_info or (None, None, None)
    try:
        return format_exception(kind, error, trace)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the record
        return [getattr(kind, "__qualname__", "")]
