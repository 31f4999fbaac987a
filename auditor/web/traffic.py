"""Who is being answered just now, so that work in the background can step aside."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST = 0.05
"""Seconds that background work waits at a time: it goes on, slowly, however many ask."""


class Traffic:
    """Counts the requests being answered; safe to use from several threads."""

    def __init__(self) -> None:
        self._answering = 0
        self._counting = threading.Lock()
        self._is_calm = threading.Event()
        self._is_calm.set()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Be busy meanwhile."""
        with self._counting:
            self._answering += 1
            self._is_calm.clear()
        try:
            yield
        finally:
            with self._counting:
                self._answering -= 1
                if not self._answering:
                    self._is_calm.set()

    def give_way(self) -> None:
        """Wait until nobody is being answered, but not for long."""
        self._is_calm.wait(_LONGEST)
