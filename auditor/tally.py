"""How often providers were called and answered, counted for this process's metrics."""

from collections import Counter

calls: Counter[tuple[str, str]] = Counter()
"""Host and status (``429``, or ``error`` where no answer came) → how many."""

throttled: Counter[str] = Counter()
"""Host → how many answers said: too many requests."""

clock_skews: dict[str, float] = {}
"""Host → seconds by which its clock was ahead of ours when it answered last."""
