"""The store in several homes: cron entries, each in the home of its queue, and their fires."""

from collections.abc import Mapping, Sequence

from aiojobs_engine.backends.redis.spread.routes import Routes
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.ports.cron import CronEntry, CronFire, CronRecord, Fire, Fired


class SpreadCron(Routes):
    """`CronStore` in several homes; what each verb means stands in the port."""

    async def put_crons(self, entries: Sequence[CronEntry], *, takes_over: bool = True) -> list[bool]:
        """Store entries, change or announce them; one that moves to another queue stays in its home.

        Raises:
            ConfigError: one depends on an entry that lies in another home.
        """
        if not entries:
            return []
        names = [name for entry in entries for name in (entry.name, *entry.depends_on)]
        homes = await self._located_crons(names)
        given = {entry.name: entry for entry in entries}
        if any(name not in homes for name in given):
            homes |= {name: home for name, home in (await self._needed()).items() if name not in homes}
        for entry in entries:
            self._place(entry, given, homes)
        return await self._split(
            [homes[entry.name] for entry in entries],
            entries,
            lambda store, part: store.put_crons(part, takes_over=takes_over),
        )

    async def remove_crons(self, names: Sequence[str]) -> list[bool]:
        """Forget entries and their history."""
        return (
            await self._split(
                await self._homes_of_crons(names), names, lambda store, part: store.remove_crons(part)
            )
            if names
            else []
        )

    async def enable_crons(self, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
        """Let entries fire, or not."""
        return (
            await self._split(
                await self._homes_of_crons(names),
                names,
                lambda store, part: store.enable_crons(part, is_enabled=is_enabled),
            )
            if names
            else []
        )

    async def crons_version(self) -> int:
        """A number that changes with the entries: the sum of those of the homes, none of which falls."""
        return sum(await self._all(lambda store: store.crons_version()))

    async def crons(self) -> list[CronRecord]:
        """All entries, by name."""
        found = [record for part in await self._all(lambda store: store.crons()) for record in part]
        return sorted(found, key=lambda record: record.entry.name)

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        """Fire entries, each in its home."""
        if not fires:
            return []
        homes = await self._homes_of_crons([fire.name for fire in fires])
        return await self._split(homes, fires, lambda store, part: store.fire(part))

    async def cron_history(
        self, name: str, limit: int, cursor: str | None
    ) -> tuple[list[CronFire], str | None]:
        """At most `limit` fires of an entry, the newest first."""
        (home,) = await self._homes_of_crons([name])
        return await self._stores[home].cron_history(name, limit, cursor)

    def _place(self, entry: CronEntry, given: Mapping[str, CronEntry], homes: dict[str, int]) -> None:
        """Give an entry the home of those that it depends on, for its jobs are bound to theirs."""
        near = [name for name in entry.depends_on if name in homes]
        if entry.name not in homes:
            homes[entry.name] = homes[near[0]] if near else self._placement.home_of(entry.job, entry.name)
        for name in entry.depends_on:
            if name in given and name not in homes:
                homes[name] = homes[entry.name]
            if homes.get(name, homes[entry.name]) != homes[entry.name]:
                raise ConfigError(
                    f"the cron entry {entry.name!r} depends on {name!r}, which lies in another home, so no "
                    f"write can bind their jobs: remove {entry.name!r} first, or give it another name"
                )

    async def _needed(self) -> dict[str, int]:
        """The entries that stored ones depend on, and the homes of those."""
        parts = await self._all(lambda store: store.crons())
        return {
            name: home
            for home, records in enumerate(parts)
            for record in records
            for name in record.entry.depends_on
        }

    async def _homes_of_crons(self, names: Sequence[str]) -> list[int]:
        """The homes of entries; the first one answers for those that are in none."""
        homes = await self._located_crons(names)
        return [homes.get(name, 0) for name in names]
