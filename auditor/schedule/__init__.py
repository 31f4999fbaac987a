"""When audits are due: the schedules of the configuration and pure rules over instants."""

from auditor.schedule.occurrences import (
    Due,
    Occurrence,
    Plan,
    due,
    last_planned,
    next_occurrence,
)
from auditor.schedule.options import BlackoutOptions, ScheduleOptions

__all__ = [
    "BlackoutOptions",
    "Due",
    "Occurrence",
    "Plan",
    "ScheduleOptions",
    "due",
    "last_planned",
    "next_occurrence",
]
