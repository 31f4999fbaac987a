"""How the garbage collector treats a process that imports much and then streams."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Look for no cyclic garbage meanwhile: imports make many objects and throw few away."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def expect_streaming() -> None:
    """Look for cyclic garbage less often, and never again among what is imported by now.

    A run makes many small values that die young by reference count alone; looking at them in
    vain costs a quarter of its time. Memory stays bounded: nothing collects credentials.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
