"""What one run works with, made ready before anything is read, so that a mistake costs nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from auditor.config import Config, SourceConfig
from auditor.delivery.interface import Channel
from auditor.findings.case import ExceptionLookup
from auditor.findings.directory import Directory
from auditor.findings.exception_review import SOON, unknown_policies
from auditor.findings.exceptions import PolicyExceptions
from auditor.findings.grace import Grace, with_grace
from auditor.findings.owners import assign_owner
from auditor.findings.reviews import Reviews
from auditor.findings.supersession import PoliciesInForce
from auditor.line.archive import pack
from auditor.line.explain import Explainer
from auditor.line.publish import format_named, open_formats, prepare_directory
from auditor.model import Credential
from auditor.policy import PolicySet, classify, load_with_catalogue
from auditor.reports.interface import ReportFormat
from auditor.resources import bundled

log = structlog.get_logger()


@dataclass(frozen=True)
class Order:
    """What a run is asked to do, beyond what the configuration says."""

    sources: tuple[str, ...] = ()
    """Names; empty means all."""
    formats: tuple[str, ...] | None = None
    """Replace the configured formats; None keeps them."""
    output: Path | None = None
    """Replaces the configured report folder."""
    as_of: datetime | None = None
    """Replaces the configured ``as_of``."""
    accept_drop: bool = False
    """Believe a source that suddenly lists far less."""
    deliver: bool = True
    deliveries: tuple[str, ...] | None = None
    """Names; None means all."""
    schedule: str | None = None
    """The schedule that asked, and which of its occurrences."""
    occurrence: str | None = None
    max_runtime: timedelta | None = None
    """How long sources may be read; what was read by then is judged and reported."""


@dataclass(frozen=True)
class Setting:
    """Everything a run needs, checked."""

    config: Config
    order: Order
    sources: tuple[SourceConfig, ...]
    now: datetime
    is_as_of: bool
    policies: PolicySet
    in_force: PoliciesInForce
    """Who takes over from whom; switched-off policies are known, but have no say."""
    explainer: Explainer
    exceptions: PolicyExceptions
    notice: timedelta
    """How long before its last day an exception is announced as ending."""
    grace: Grace | None
    classify: Callable[[Credential], Credential]
    formats: tuple[ReportFormat, ...]
    directory: Path
    channels: tuple[Channel, ...]
    context: bytes
    """The policies and settings the run judges by, kept so that it can be rendered again."""

    def now_for(self, source: SourceConfig) -> datetime:
        """Return the instant *source* is judged at: ``as_of`` moves file sources only."""
        as_of = self.order.as_of or self.config.layout.as_of
        return as_of if as_of and source.is_file else self.now

    def lookup(self, newest_sibling: Callable[[Credential], datetime | None]) -> ExceptionLookup:
        """Return what tells the exception or the grace period a violation stands under."""
        found = self.exceptions.exception_for
        return found if self.grace is None else with_grace(found, self.grace, newest_sibling)

    @property
    def needs_siblings(self) -> bool:
        """Whether a grace period depends on the other credentials of a principal."""
        return self.grace is not None and self.grace.rotation_for is not None

    @property
    def selected(self) -> frozenset[str]:
        """The names of the sources this run reads."""
        return frozenset(source.name for source in self.sources)

    @property
    def configured(self) -> frozenset[str]:
        """The names of all sources."""
        return frozenset(source.name for source in self.config.sources)


def prepare(config: Config, order: Order, clock_now: datetime) -> Setting:
    """Check everything a run will need and return it; raises `ConfigError`."""
    layout = config.layout
    sources = config.select(order.sources)
    for source in sources:
        source.options()
    builtin, rules = bundled("policies"), layout.policies
    policies, known = load_with_catalogue(
        rules, builtin=builtin, directory=config.directory, document=config.document
    )
    as_of = order.as_of or layout.as_of
    is_as_of = as_of is not None and all(source.is_file for source in sources)
    directory = order.output or config.report_directory
    names = layout.reports.formats if order.formats is None else order.formats
    formats = open_formats(names, layout.reports.options)
    prepare_directory(directory)
    excepted = exceptions(config)
    now = as_of if as_of and is_as_of else clock_now
    for remark in unknown_policies(excepted, [policy.id for policy in known], now):
        log.warning("exceptions.unknown_policy", where=remark.place, said=remark.message)
    return Setting(
        config=config,
        order=order,
        sources=sources,
        now=now,
        is_as_of=as_of is not None and any(source.is_file for source in sources),
        policies=policies,
        in_force=PoliciesInForce(policies.policies, known),
        explainer=Explainer(policies, known),
        exceptions=excepted,
        notice=SOON if layout.exceptions is None else layout.exceptions.notice,
        grace=layout.grace,
        classify=classifier(config),
        formats=tuple(formats),
        directory=directory,
        channels=open_channels(config, order.deliveries) if order.deliver else (),
        context=pack(rules, builtin, config.directory),
    )


def exceptions(config: Config) -> PolicyExceptions:
    """Return the configured exceptions; raises `ConfigError`."""
    settings = config.layout.exceptions
    if settings is None:
        return PolicyExceptions()
    path = config.directory / settings.path
    return PolicyExceptions.load(path, max_days=settings.max_days)


def classifier(config: Config) -> Callable[[Credential], Credential]:
    """Return what adds the auditor's knowledge to a credential; raises `ConfigError`.

    That is its privilege, its owner, whether its people are still here, and when it was confirmed.
    """
    layout = config.layout
    steps: list[Callable[[Credential], Credential]] = [classify]
    if layout.owners:
        steps.append(lambda credential: assign_owner(credential, layout.owners))
    if layout.directory is not None:
        steps.append(Directory.load(config.directory / layout.directory).mark)
    if layout.reviews is not None:
        steps.append(Reviews.load(config.directory / layout.reviews).mark)

    def classified(credential: Credential) -> Credential:
        for step in steps:
            credential = step(credential)
        return credential

    return classified


def open_channels(config: Config, names: Sequence[str] | None = None) -> tuple[Channel, ...]:
    """Return the configured channels, or those called *names*; raises `ConfigError`."""
    named = partial(format_named, options=config.layout.reports.options)
    return tuple(
        delivery.open(documents=named, directory=config.directory)
        for delivery in config.deliveries
        if names is None or delivery.name in names
    )
