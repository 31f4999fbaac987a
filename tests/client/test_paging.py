import pytest

from auditor.client import Batch, BrokenPaging, walk


def book(*pages: Batch):
    """A fetch function over *pages*, the cursor being the page's number."""

    async def fetch(cursor: str | None) -> Batch:
        return pages[int(cursor or 0)]

    return fetch


def rows(*ids: str) -> list[dict[str, str]]:
    return [{"id": one} for one in ids]


async def read(fetch, **options) -> tuple[list[str], BrokenPaging | None]:
    found: list[str] = []
    try:
        async for records in walk(fetch, "The list", **options):
            found += [record["id"] for record in records]
    except BrokenPaging as error:
        return found, error
    return found, None


async def test_pages_are_followed_to_the_end():
    pages = book(Batch(rows("a", "b"), True, "1"), Batch(rows("c"), False, None))

    assert await read(pages) == (["a", "b", "c"], None)


async def test_an_end_is_an_end_even_with_a_cursor():
    assert await read(book(Batch(rows("a"), False, "0"))) == (["a"], None)


async def test_a_record_listed_twice_counts_once():
    pages = book(Batch(rows("a", "b", "a"), True, "1"), Batch(rows("b", "c"), False, None))

    assert await read(pages) == (["a", "b", "c"], None)


@pytest.mark.parametrize(
    ("pages", "kind", "found"),
    [
        ([Batch(rows("a"), True, "0")], "repeated_cursor", ["a"]),
        (
            [Batch(rows("a"), True, "1"), Batch(rows("b"), True, "2"), Batch([], True, "1")],
            "repeated_cursor",
            ["a", "b"],
        ),
        ([Batch(rows("a"), True, None)], "missing_cursor", ["a"]),
        ([Batch(rows("a"), True, "")], "missing_cursor", ["a"]),
    ],
)
async def test_paging_that_cannot_be_followed_breaks_off_after_what_was_read(pages, kind, found):
    seen, error = await read(book(*pages))

    assert seen == found
    assert error is not None
    assert error.kind == kind


async def test_an_endless_list_ends_at_the_page_cap():
    async def endless(cursor: str | None) -> Batch:
        number = int(cursor or 0)
        return Batch(rows(f"r{number}"), True, str(number + 1))

    seen, error = await read(endless, max_pages=7)

    assert len(seen) == 7
    assert error is not None
    assert error.kind == "too_many_pages"


async def test_records_without_an_id_are_handed_on_for_their_reader_to_judge():
    async def fetch(_cursor: str | None) -> Batch:
        return Batch([{"id": 1}, "text", None, {"id": 1}], False, None)

    assert [records async for records in walk(fetch, "The list")] == [
        [{"id": 1}, "text", None, {"id": 1}]
    ]
