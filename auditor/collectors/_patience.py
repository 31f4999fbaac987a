"""When to stop asking: one part that fails is a gap, one after the other is a failing provider."""

from auditor.errors import AccessDenied, AuthenticationFailed, SourceError

_IN_A_ROW = 5


class Patience:
    """Counts parts of one organization that failed one after the other.

    A missing right (403) costs one quick answer each time and is not counted, unless
    *counts_refusals*: where one right opens all parts or none.
    """

    def __init__(self, *, counts_refusals: bool = False) -> None:
        self._counts_refusals = counts_refusals
        self._failures = 0

    def went_well(self) -> None:
        """Begin to count anew."""
        self._failures = 0

    def failed(self, error: SourceError) -> None:
        """Count *error*; raises it where going on makes no sense.

        A refusal of the auditor's own credential ends everything at once.
        """
        if isinstance(error, AuthenticationFailed):
            raise error
        if isinstance(error, AccessDenied) and not self._counts_refusals:
            return
        self._failures += 1
        if self._failures >= _IN_A_ROW:
            raise error
