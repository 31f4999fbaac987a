"""Audit programmatic credentials: dormant, stale or over-permissioned, and which comes first."""

__version__ = "0.1.0"
