"""Findings as events of the Open Cybersecurity Schema Framework (OCSF) 1.6.0."""

from auditor.reports.events.event import EventClass, event

__all__ = ["EventClass", "event"]
