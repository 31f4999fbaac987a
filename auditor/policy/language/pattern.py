"""Patterns for ``matches()``: a subset of RE2 that is matched in linear time.

The pattern becomes a non-deterministic automaton of at most `MAX_STATES` states; matching walks
the text once and keeps the set of states it may be in, so no pattern can make it backtrack.
"""

from msgspec import Struct

MAX_PATTERN = 500
MAX_STATES = 1_000
_MAX_REPEAT = 100
_MAX_GROUPS = 20
_MEMORY = 2_000

_CLASSES = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
    "s": (("\t", "\n"), ("\f", "\r"), (" ", " ")),
}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}

Ranges = tuple[tuple[str, str], ...]


class PatternError(ValueError):
    """The pattern is wrong or outside the subset."""


class _Set(Struct, frozen=True):
    """A set of characters."""

    ranges: Ranges
    is_negated: bool = False

    def holds(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.is_negated


_ANY = _Set((("\n", "\n"),), is_negated=True)

# A fragment of the pattern: a set, an anchor ("^" or "$"), or a tuple with its kind first:
# ("cat", parts), ("or", parts), ("repeat", part, least, most or None).
_Part = _Set | str | tuple[str, tuple["_Part", ...], int, int | None]


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise PatternError(f"the pattern is longer than {MAX_PATTERN} characters")
        self._sets: list[_Set | str | None] = []
        self._next: list[list[int]] = []
        tree = _Reader(text).whole()
        self._accept = self._state(None)
        self._start = self._build(tree, self._accept)
        self._memory: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def search(self, text: str) -> bool:
        """Whether the pattern occurs anywhere in *text*."""
        states = self._closure({self._start}, at_start=True, at_end=not text)
        if self._accept in states:
            return True
        last = len(text) - 1
        for position, char in enumerate(text):
            if position == last:
                return self._accept in self._closure(
                    self._step(states, char) | {self._start}, at_start=False, at_end=True
                )
            key = (states, char)
            found = self._memory.get(key)
            if found is None:
                if len(self._memory) >= _MEMORY:
                    self._memory.clear()
                found = self._closure(
                    self._step(states, char) | {self._start}, at_start=False, at_end=False
                )
                self._memory[key] = found
            states = found
            if self._accept in states:
                return True
        return False

    def _step(self, states: frozenset[int], char: str) -> set[int]:
        return {
            target
            for state in states
            if isinstance(found := self._sets[state], _Set) and found.holds(char)
            for target in self._next[state]
        }

    def _closure(self, states: set[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """Add what is reached without reading a character."""
        todo, seen = list(states), set(states)
        while todo:
            state = todo.pop()
            what = self._sets[state]
            if isinstance(what, _Set) or (what == "^" and not at_start):
                continue
            if what == "$" and not at_end:
                continue
            for target in self._next[state]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return frozenset(seen)

    def _state(self, what: _Set | str | None, *targets: int) -> int:
        if len(self._sets) >= MAX_STATES:
            raise PatternError("the pattern is too large; repeat less")
        self._sets.append(what)
        self._next.append(list(targets))
        return len(self._sets) - 1

    def _build(self, part: _Part, after: int) -> int:
        """Add the states of *part*, which lead to *after*; return where they begin."""
        if isinstance(part, _Set | str):
            return self._state(part, after)
        kind, parts, least, most = part
        if kind == "or":
            return self._state(None, *(self._build(one, after) for one in parts))
        if kind == "cat":
            for one in reversed(parts):
                after = self._build(one, after)
            return after
        if most is None:
            loop = self._state(None, after)
            self._next[loop].append(self._build(parts[0], loop))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self._state(None, self._build(parts[0], after), end)
        for _ in range(least):
            after = self._build(parts[0], after)
        return after


class _Reader:
    """Reads the text of a pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups = 0

    def whole(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._text):
            raise PatternError(f"unexpected ')' at character {self._at + 1} of the pattern")
        return part

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise PatternError("the pattern ends too early")
        self._at += 1
        return char

    def _alternatives(self) -> _Part:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._take()
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else ("or", tuple(parts), 0, 0)

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return ("cat", tuple(parts), 0, 0)

    def _repeated(self, part: _Part) -> _Part:
        least, most = self._quantity()
        if (least, most) == (1, 1):
            return part
        if isinstance(part, str):
            raise PatternError(f"'{part}' cannot be repeated")
        if self._peek() in ("*", "+", "?", "{"):
            raise PatternError("lazy and doubled quantifiers are not supported; use one")
        return ("repeat", (part,), least, most)

    def _quantity(self) -> tuple[int, int | None]:
        char = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple and char:
            self._take()
            return simple[char]
        if char != "{":
            return 1, 1
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, self._at)].partition(",")
        if end < 0 or not low.isdecimal() or not (high.isdecimal() or not high):
            raise PatternError("write {n}, {n,} or {n,m}, or escape the brace")
        self._at = end + 1
        if len(low) > 3 or len(high) > 3 or max(int(low), int(high or 0)) > _MAX_REPEAT:
            raise PatternError(f"more than {_MAX_REPEAT} repetitions")
        if high and int(high) < int(low):
            raise PatternError("the repetition ends before it begins")
        return int(low), (int(high) if high else None) if comma else int(low)

    def _atom(self) -> _Part:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char in "*+?{":
            raise PatternError(f"'{char}' repeats nothing; escape it")
        if char == ".":
            return _ANY
        return char if char in "^$" else _Set(((char, char),))

    def _group(self) -> _Part:
        self._groups += 1
        if self._groups > _MAX_GROUPS:
            raise PatternError(f"more than {_MAX_GROUPS} groups")
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise PatternError("only (…) and (?:…) groups are supported")
            self._at += 2
        part = self._alternatives()
        if self._peek() != ")":
            raise PatternError("a group is not closed; add a ')'")
        self._take()
        return part

    def _escape(self) -> _Set:
        char = self._take()
        if char.lower() in _CLASSES:
            return _Set(_CLASSES[char.lower()], is_negated=char.isupper())
        char = self._escaped(char)
        return _Set(((char, char),))

    @staticmethod
    def _escaped(char: str) -> str:
        if char in _CONTROL:
            return _CONTROL[char]
        if char.isalnum():
            raise PatternError(f"'\\{char}' is not supported")
        return char

    def _class(self) -> _Set:
        is_negated = self._peek() == "^"
        if is_negated:
            self._take()
        ranges: list[tuple[str, str]] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            low = self._take()
            if low == "[" and self._peek() == ":":
                raise PatternError("[:name:] classes are not supported; write the characters")
            if low == "\\":
                low = self._take()
                if low in _CLASSES:
                    ranges += _CLASSES[low]
                    continue
                low = self._escaped(low)
            ranges.append((low, self._high(low)))
        self._take()
        return _Set(tuple(ranges), is_negated)

    def _high(self, low: str) -> str:
        """Return the upper end of a range that begins with *low*."""
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return low
        self._take()
        high = self._take()
        if high == "\\":
            high = self._escaped(self._take())
        if high < low:
            raise PatternError(f"the range {low}-{high} is the wrong way round")
        return high
