"""The types of the condition language."""

from enum import Enum, StrEnum

from msgspec import Struct

UNKNOWN_MEMBER = "unknown"


class Kind(StrEnum):
    """The basic types; the value is the word used in messages."""

    BOOL = "true or false"
    INT = "a whole number"
    FLOAT = "a number"
    STRING = "text"
    DURATION = "a duration"
    TIMESTAMP = "a time"
    NULL = "null"
    LIST = "a list"
    MAP = "a map"
    ENUM = "a state"
    ANY = "a value of any type"


class Type(Struct, frozen=True):
    """A type; *item* is what a list holds or a map (its keys are text) leads to."""

    kind: Kind
    item: "Type | None" = None
    members: tuple[str, ...] = ()
    """Of a state: the values it can have."""

    def __str__(self) -> str:
        if self.item is not None and self.kind is Kind.LIST:
            return f"a list ({self.item})"
        if self.members:
            return f"one of {', '.join(self.members)}"
        return self.kind.value

    @property
    def can_be_unknown(self) -> bool:
        """Whether one of its members stands for *unknown*."""
        return UNKNOWN_MEMBER in self.members

    @property
    def is_number(self) -> bool:
        """Whether it is a whole number or a float."""
        return self.kind in (Kind.INT, Kind.FLOAT)


BOOL = Type(Kind.BOOL)
INT = Type(Kind.INT)
FLOAT = Type(Kind.FLOAT)
STRING = Type(Kind.STRING)
DURATION = Type(Kind.DURATION)
TIMESTAMP = Type(Kind.TIMESTAMP)
NULL = Type(Kind.NULL)
ANY = Type(Kind.ANY)
STRINGS = Type(Kind.MAP, STRING)
ANYTHING = Type(Kind.MAP, ANY)
PERMISSIONS = Type(Kind.MAP, Type(Kind.MAP, BOOL))


def state(members: type[Enum]) -> Type:
    """Return the type of a field that holds a member of an enumeration."""
    return Type(Kind.ENUM, None, tuple(str(one.value) for one in members))


def list_of(item: Type) -> Type:
    """Return the type of a list of *item*."""
    return Type(Kind.LIST, item)
