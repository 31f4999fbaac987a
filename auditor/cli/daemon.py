"""``auditor daemon``: the schedules of the configuration, until stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor import pipeline
from auditor.cli import exits
from auditor.cli.options import config_option
from auditor.config import Config, load_config
from auditor.daemon import Daemon, Once, Work
from auditor.errors import ConfigError, Unavailable
from auditor.line.setting import Order, open_channels, prepare
from auditor.line.ship import ship
from auditor.schedule import Occurrence, ScheduleOptions
from auditor.signals import hangups_waiting
from auditor.status import gather
from auditor.store import Store
from auditor.times import format_duration
from auditor.wording import rfc3339

if TYPE_CHECKING:
    from auditor.web.front import Front


@click.command()
@config_option
@click.option("--once", is_flag=True, help="Run what is due now and exit; for cron and CronJobs.")
def daemon(config_path: Path, *, once: bool) -> int:
    """Audit on the configured schedules until stopped.

    SIGTERM lets running work end; a second signal stops at once. SIGHUP reads the configuration
    again: all of it, or, where it has a mistake, nothing.
    """
    with hangups_waiting():
        config = checked(config_path)
        return asyncio.run(_serve(config, config_path, once=once))


@dataclass
class InForce:
    """The configuration in force, and who must be able to follow when another takes its place."""

    config: Config
    followers: list[Callable[[Config], None]] = field(default_factory=list)

    def take(self, config: Config) -> None:
        """Let *config* be in force; raises `ConfigError` where somebody cannot follow."""
        for tell in self.followers:
            tell(config)
        self.config = config


def checked(config_path: Path) -> Config:
    """Return the configuration after checking what audits will need; raises `ConfigError`."""
    config = load_config(config_path)
    if not config.layout.schedules:
        raise ConfigError(f"{config_path} has no `schedules:`; add one, or run `auditor audit`.")
    for schedule in config.layout.schedules:
        prepare(config, order_of(schedule), pipeline.utc_now())
    return config


async def _serve(config: Config, config_path: Path, *, once: bool) -> int:
    with Store.open(config.database_url) as store:
        timing = config.layout.daemon
        leadership = store.leadership(lease=timing.lease)
        if config.is_on_sqlite:
            leadership.hold()  # a second daemon is refused here, before it does anything
        in_force = InForce(config)
        service = Daemon(
            work_of(config, store),
            ledger=store.ledger,
            leadership=leadership,
            load=loader(in_force, config_path, store),
            tick_every=timing.tick,
            grace=timing.grace,
        )
        if not once:
            async with serving(in_force, store, service):
                return await service.run()
        looked = await service.once()
        if looked is None:
            leader = leadership.leader()
            name = leader.holder if leader else "another daemon"
            click.echo(f"{name} runs the schedules of this database; nothing was done here.")
            return exits.CLEAN
        return _tell(looked, config, store)


def _tell(looked: Once, config: Config, store: Store) -> int:
    """Say what a single look came to; returns the exit code."""
    for name in looked.done:
        click.echo(f"{name}: done")
    for name in looked.failed:
        click.echo(f"{name}: failed or cut short; `auditor status` and the log say why")
    if not (looked.done or looked.failed):
        schedules = gather(store, config, pipeline.utc_now()).schedules
        following = min((one.next_at, one.name) for one in schedules if one.next_at is not None)
        click.echo(f"Nothing was due; next is {following[1]} at {rfc3339(following[0])}.")
    if looked.is_interrupted:
        return exits.INTERRUPTED
    return exits.INCOMPLETE if looked.failed else exits.CLEAN


@asynccontextmanager
async def serving(in_force: InForce, store: Store, service: Daemon) -> AsyncIterator[None]:
    """Answer browsers, probes and Prometheus while the configuration in force has `web:`."""
    told = click.get_current_context().find_root().params
    loop = asyncio.get_running_loop()
    front: Front | None = None

    async def follow(config: Config) -> None:
        nonlocal front
        if front is None and config.layout.web is not None:
            front = _front(in_force, store, service, told)
        if front is not None:
            await front.follow(config)

    def follow_from_a_thread(config: Config) -> None:
        asyncio.run_coroutine_threadsafe(follow(config), loop).result()

    await follow(in_force.config)
    in_force.followers.append(follow_from_a_thread)
    try:
        yield
    finally:
        if front is not None:
            await front.close()


def _front(in_force: InForce, store: Store, service: Daemon, told: Mapping[str, Any]) -> "Front":
    """Return what answers browsers, which logs as this process was *told* to."""
    try:
        from auditor import health  # noqa: PLC0415 - an extra may be missing
        from auditor.web.beside import Logs  # noqa: PLC0415
        from auditor.web.front import Front  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`web:` needs {error.name}, which is not installed; "
            "install it with `pip install 'auditor[serve]'`, or leave `web:` out."
        ) from None
    probes = health.routes(
        lambda: gather(store, in_force.config, pipeline.utc_now()), service.state
    )
    as_json = {"auto": None, "json": True}.get(told["log_format"], False)
    return Front(probes, Logs(told["log_level"], as_json))


def loader(in_force: InForce, config_path: Path, store: Store) -> Callable[[], Work]:
    """Return what reads the configuration again; where it raises `ConfigError` nothing changes."""

    def load() -> Work:
        config, new = in_force.config, checked(config_path)
        for block, before, after in (
            ("database", config.database_url, new.database_url),
            ("daemon", config.layout.daemon, new.layout.daemon),
        ):
            if before != after:
                raise ConfigError(f"`{block}` changed in {config_path}: restart the daemon for it.")
        work = work_of(new, store)
        in_force.take(new)
        return work

    return load


def work_of(config: Config, store: Store, clock: Callable[[], datetime] = pipeline.utc_now) -> Work:
    """Return what a daemon does under *config*; raises `ConfigError`."""
    channels = open_channels(config)

    async def run_schedule(
        schedule: ScheduleOptions,
        occurrence: Occurrence,
        _is_catch_up: bool,  # noqa: FBT001
    ) -> None:
        result = await pipeline.audit(config, order_of(schedule, occurrence.key), clock=clock)
        if schedule.max_runtime is not None and result.is_cut_short:
            raise Unavailable(
                f"stopped reading after max_runtime ({format_duration(schedule.max_runtime)}); "
                f"run {result.view.run.id} reports what was read by then"
            )

    async def tidy() -> None:
        keep = config.layout.retention.keep
        if keep is not None:
            await asyncio.to_thread(store.prune, clock() - keep)

    return Work(
        schedules=config.layout.schedules,
        run_schedule=run_schedule,
        deliver=lambda: ship(store, config, channels, clock),
        tidy=tidy,
    )


def order_of(schedule: ScheduleOptions, occurrence: str | None = None) -> Order:
    """Return what an occurrence of *schedule* asks the line to do."""
    return Order(
        sources=schedule.sources or (),
        formats=schedule.reports,
        deliveries=schedule.deliveries,
        schedule=schedule.name,
        occurrence=occurrence,
        max_runtime=schedule.max_runtime,
    )
