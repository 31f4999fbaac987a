"""Finds a page's rows in a catalogue: filters and words as bound values, pages by key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from auditor.model import Credential, Finding, Severity
from auditor.web.catalogue import Catalogue

Row = TypeVar("Row")

SIZE = 50
"""Rows on a page."""
ANY = "any"
NOBODY = "none"
"""Stands for credentials without an owner: an empty value in an address means *no filter*."""
_TERMS = 8
_TEXT = 200

FINDING_FILTERS = ("status", "severity", "policy", "provider", "organization", "owner")
CREDENTIAL_FILTERS = (
    "provider",
    "source",
    "organization",
    "owner",
    "status",
    "privilege",
    "used",
)
ORDERS = {"risk": "", "new": "-first_seen", "old": "first_seen"}
"""What stands before the place in the order; the indexes of the catalogue are named alike."""


@dataclass(frozen=True)
class Query:
    """What an address asks for; unknown words are as good as none."""

    words: str
    filters: dict[str, str]
    order: str = "risk"
    after: int | None = None
    before: int | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, str], names: tuple[str, ...], **usual: str) -> "Query":
        """Read the query of an address; *usual* are the filters that stand where none is given."""
        filters = {
            name: parameters.get(name, usual.get(name, ""))[:_TEXT]
            for name in names
            if parameters.get(name, usual.get(name, ""))
        }
        order = parameters.get("order", "risk")
        return cls(
            words=parameters.get("q", "").strip()[:_TEXT],
            filters=filters,
            order=order if order in ORDERS else "risk",
            after=_place(parameters.get("after")),
            before=_place(parameters.get("before")),
        )

    def conditions(self, words: str) -> tuple[list[str], dict[str, Any]]:
        """Return the conditions and the values bound in them.

        *words* is the condition that a row's words meet, with ``{}`` for what they contain.
        """
        conditions: list[str] = []
        values: dict[str, Any] = {}
        for name, value in self.filters.items():
            if value != ANY:
                conditions.append(f"{name} = :{name}")
                values[name] = _stored(name, value)
        terms = self.words.casefold().split()[:_TERMS]
        for number, term in enumerate(terms):
            values[f"q{number}"] = term.encode("utf-8", "replace").decode()
        if terms:
            contained = " AND ".join(f"instr(words, :q{n}) > 0" for n in range(len(terms)))
            conditions.append(words.format(contained))
        return conditions, values


@dataclass(frozen=True)
class Found(Generic[Row]):
    """One page of a list."""

    rows: list[Row]
    total: int
    earlier: int | None
    """The key to give as ``before``, where there are rows before these."""
    later: int | None


def findings(catalogue: Catalogue, query: Query, size: int = SIZE) -> Found[Finding]:
    """Return a page of findings, explained."""
    conditions, values = query.conditions("credential IN (SELECT number FROM credential WHERE {})")
    order = ORDERS[query.order]
    total = _count(catalogue, "finding", conditions, values)
    if not total:
        return Found([], 0, None, None)
    cursor, values, direction = _cursor(query, "place", order, values)
    keys = ", ".join(f"{key} {direction}" for key in (order, "place") if key)
    rows = catalogue.rows(
        f"WITH chosen AS (SELECT place, credential, first_seen FROM finding "  # noqa: S608
        f"{_where([*conditions, *cursor])} ORDER BY {keys} LIMIT :size) "
        "SELECT place, "
        "(SELECT body FROM finding_body f WHERE f.place = chosen.place), "
        "(SELECT body FROM credential_body c WHERE c.number = chosen.credential) "
        f"FROM chosen ORDER BY {keys}",
        values | {"size": size + 1},
    )
    page = _turned(rows, query, size)
    shown = [(place, _explained(catalogue, state, body)) for place, state, body in page.rows]
    return Found([one for _place, one in shown], total, page.earlier, page.later)


def credentials(
    catalogue: Catalogue, query: Query, size: int = SIZE
) -> Found[tuple[Credential, int, int]]:
    """Return a page of credentials by uid, each with its open findings and their worst rank."""
    conditions, values = query.conditions("{}")
    conditions.append("is_present = 1")
    total = _count(catalogue, "credential", conditions, values)
    if not total:
        return Found([], 0, None, None)
    cursor, values, direction = _cursor(query, "number", "", values)
    rows = catalogue.rows(
        "SELECT number, (SELECT body FROM credential_body b WHERE b.number = c.number), "  # noqa: S608
        "open, worst FROM credential c "
        f"{_where([*conditions, *cursor])} ORDER BY number {direction} LIMIT :size",
        values | {"size": size + 1},
    )
    page = _turned(rows, query, size)
    shown = [(catalogue.credential(body), many, worst) for _, body, many, worst in page.rows]
    return Found(shown, total, page.earlier, page.later)


def finding(catalogue: Catalogue, finding_id: str) -> Finding | None:
    """Return one finding of the catalogue, explained."""
    rows = catalogue.rows(
        "SELECT f.body, c.body FROM finding JOIN finding_body f ON f.place = finding.place "
        "JOIN credential_body c ON c.number = finding.credential WHERE finding.id = :id",
        {"id": finding_id},
    )
    return _explained(catalogue, *rows[0]) if rows else None


def credential(catalogue: Catalogue, uid: str) -> Credential | None:
    """Return one credential of the catalogue."""
    rows = catalogue.rows(
        "SELECT b.body FROM credential JOIN credential_body b ON b.number = credential.number "
        "WHERE uid = :uid",
        {"uid": uid},
    )
    return catalogue.credential(rows[0][0]) if rows else None


def findings_of(catalogue: Catalogue, uid: str) -> list[Finding]:
    """Return the findings about one credential, the worst first."""
    rows = catalogue.rows(
        "SELECT f.body, c.body FROM credential JOIN finding ON finding.credential = "
        "credential.number JOIN finding_body f ON f.place = finding.place "
        "JOIN credential_body c ON c.number = credential.number WHERE uid = :uid "
        "ORDER BY finding.place",
        {"uid": uid},
    )
    return [_explained(catalogue, *row) for row in rows]


def _explained(catalogue: Catalogue, state: bytes, body: bytes) -> Finding:
    return catalogue.explainer.finding(catalogue.credential(body), catalogue.state(state))


def _count(catalogue: Catalogue, table: str, conditions: list[str], values: dict[str, Any]) -> int:
    statement = f"SELECT count(*) FROM {table} {_where(conditions)}"  # noqa: S608
    return catalogue.count(statement, values)


def _cursor(
    query: Query, key: str, order: str, values: dict[str, Any]
) -> tuple[list[str], dict[str, Any], str]:
    """Return the condition that a page begins with, its values, and the direction to read in."""
    place, sign, direction = query.after, ">", "ASC"
    if query.before is not None:
        place, sign, direction = query.before, "<", "DESC"
    if place is None:
        return [], values, direction
    values = values | {"place": place}
    if not order:
        return [f"{key} {sign} :place"], values, direction
    row = f"(SELECT {order} FROM finding WHERE place = :place)"  # noqa: S608 - `ORDERS`
    return [f"({order}, {key}) {sign} ({row}, :place)"], values, direction


def _turned(rows: list[tuple[Any, ...]], query: Query, size: int) -> Found[tuple[Any, ...]]:
    """Cut the row that only tells whether there are more, and set the rows the right way round."""
    has_more = len(rows) > size
    rows = rows[:size]
    is_backwards = query.before is not None
    if is_backwards:
        rows.reverse()
    has_earlier = has_more if is_backwards else query.after is not None
    has_later = True if is_backwards else has_more
    return Found(
        rows,
        0,
        rows[0][0] if rows and has_earlier else None,
        rows[-1][0] if rows and has_later else None,
    )


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _stored(name: str, value: str) -> Any:
    if name == "severity":
        ranks = {severity.value: severity.rank for severity in Severity}
        return ranks.get(value, -1)
    if name == "owner" and value == NOBODY:
        return ""
    return value.encode("utf-8", "replace").decode()


def _place(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < 16
    return int(text) if text is not None and is_number else None


def offset(text: str | None) -> int:
    """Return a number of an address; 0 for what is none."""
    return _place(text) or 0
