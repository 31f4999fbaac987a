"""From text to tokens."""

import re
from enum import Enum, auto

from msgspec import Struct

from auditor.policy.language.errors import ExpressionError

MAX_LENGTH = 8_000
MAX_TOKENS = 1_000
_INT64 = 2**63


class Kind(Enum):
    """What a token is."""

    NAME = auto()
    INT = auto()
    FLOAT = auto()
    STRING = auto()
    SYMBOL = auto()
    END = auto()


class Token(Struct, frozen=True):
    """One word of an expression and the characters it covers."""

    kind: Kind
    text: str
    start: int
    end: int
    value: str | int | float | None = None


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<float>[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)
      | (?P<int>0[xX][0-9A-Fa-f]+|[0-9]+)
      | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_CODES = {"x": 2, "X": 2, "u": 4, "U": 8}
_HINTS = {
    "=": "compare with '=='",
    "&": "write '&&'",
    "|": "write '||'",
    "#": "comments are not part of an expression; use `rationale`",
    "“": "use straight quotes",
    "”": "use straight quotes",
}


def tokens(text: str) -> list[Token]:
    """Return the tokens of *text*, the last one being the end."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression is longer than {MAX_LENGTH:,} characters", MAX_LENGTH, MAX_LENGTH
        )
    found: list[Token] = []
    position = 0
    while position < len(text):
        token, position = _next(text, position)
        if token is not None:
            found.append(token)
        if len(found) > MAX_TOKENS:
            raise ExpressionError(
                f"the expression has more than {MAX_TOKENS:,} words", position, position
            )
    found.append(Token(Kind.END, "", len(text.rstrip()), len(text.rstrip()) + 1))
    return found


def _next(text: str, position: int) -> tuple[Token | None, int]:
    char = text[position]
    if text.startswith("//", position):
        # A folded YAML block joins its lines, so a comment would swallow what follows it.
        raise ExpressionError(
            "comments are not part of an expression; use `rationale`", position, position + 2
        )
    if char in "\"'":
        return _string(text, position, position, is_raw=False)
    if char in "rR" and text[position + 1 : position + 2] in ("'", '"'):
        return _string(text, position, position + 1, is_raw=True)
    if char in "bB" and text[position + 1 : position + 2] in ("'", '"'):
        raise ExpressionError("bytes are not supported; use text", position, position + 1)
    match = _TOKEN.match(text, position)
    if match is None:
        hint = _HINTS.get(char, "remove it")
        raise ExpressionError(f"unexpected {char!r}; {hint}", position, position + 1)
    kind, end = str(match.lastgroup), match.end()
    if kind == "space":
        return None, end
    if kind in ("int", "float") and end < len(text) and (text[end].isalnum() or text[end] == "_"):
        raise ExpressionError(_bad_number(match[0], text[end]), position, end + 1)
    return Token(Kind[kind.upper()], match[0], position, end, _value(kind, match)), end


def _value(kind: str, match: re.Match[str]) -> str | int | float | None:
    text = match[0]
    if kind == "float":
        value = float(text)
        if value == float("inf"):
            raise ExpressionError("the number is too large", match.start(), match.end())
        return value
    if kind != "int":
        return None
    digits, base = (text[2:], 16) if text[:2] in ("0x", "0X") else (text, 10)
    number = int(digits, base) if len(digits) <= 20 else _INT64
    if number >= _INT64:
        raise ExpressionError("the number does not fit 64 bits", match.start(), match.end())
    return number


def _bad_number(number: str, following: str) -> str:
    if following in "dhmsw":
        return f"write durations as duration('{number}{following}')"
    if following in "uU":
        return "unsigned numbers are not supported; leave the 'u' out"
    return "a number must not be followed by a letter"


def _string(text: str, start: int, quote_at: int, *, is_raw: bool) -> tuple[Token, int]:
    quote = text[quote_at]
    if text.startswith(quote * 3, quote_at):
        raise ExpressionError("triple quotes are not supported; use one quote", start, quote_at + 3)
    parts: list[str] = []
    position = quote_at + 1
    while position < len(text):
        char = text[position]
        if char == quote:
            value = "".join(parts)
            end = position + 1
            return Token(Kind.STRING, text[start:end], start, end, value), end
        if char == "\n":
            break
        if char == "\\" and not is_raw:
            char, position = _escape(text, position)
        else:
            position += 1
        parts.append(char)
    raise ExpressionError(f"the text is not closed; add a {quote}", start, position)


def _escape(text: str, position: int) -> tuple[str, int]:
    letter = text[position + 1 : position + 2]
    if letter in _ESCAPES:
        return _ESCAPES[letter], position + 2
    width = _CODES.get(letter, 0)
    digits = text[position + 2 : position + 2 + width]
    if width and len(digits) == width and all(char in "0123456789abcdefABCDEF" for char in digits):
        point = int(digits, 16)
        if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF:
            return chr(point), position + 2 + width
    raise ExpressionError(
        f"unknown escape '\\{letter}'; double the backslash, or write r'…'",
        position,
        position + 2,
    )
