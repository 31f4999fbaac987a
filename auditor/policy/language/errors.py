"""A mistake in an expression, with its place in the text."""


class ExpressionError(Exception):
    """*start* and *end* delimit the part of the expression that is wrong, in characters."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = max(end, start + 1)
