"""Which built-in listeners hear of a job: its type's switch over its kind's over `[listeners]`."""

from typing import Literal

from aiojobs_engine.core.config import Settings

Name = Literal["broadcast", "log", "notify"]


class Switches:
    """The switch of one built-in listener, worked out once per job type."""

    def __init__(self, settings: Settings, name: Name) -> None:
        """Read the switch `name` of `settings`."""
        self._settings = settings
        self._name: Name = name
        self._known: dict[tuple[str, str], bool] = {}

    @property
    def is_off_everywhere(self) -> bool:
        """Whether no job can be heard of."""
        sections = [*self._settings.jobs.values(), *self._settings.kinds.values()]
        overrides = [getattr(section.listeners, self._name, None) for section in sections]
        return not getattr(self._settings.listeners, self._name) and not any(overrides)

    def is_on(self, type: str, kind: str) -> bool:
        """Whether the listener hears of jobs of this type and kind."""
        known = self._known.get((type, kind))
        if known is None:
            known = self._known[type, kind] = self._resolved(type, kind)
        return known

    def _resolved(self, type: str, kind: str) -> bool:
        for section in (self._settings.jobs.get(type), self._settings.kinds.get(kind)):
            switch: bool | None = getattr(section.listeners, self._name, None) if section else None
            if switch is not None:
                return switch
        default: bool = getattr(self._settings.listeners, self._name)
        return default
