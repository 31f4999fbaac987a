"""Violations through time: reconcile, exceptions, owners, risk, summary; pure functions."""
