"""What the pages show, asked as a browser would."""

import re
import time
from urllib.parse import quote

import html5lib
import pytest

from auditor.line.recall import recall
from auditor.web import lookup, runs
from tests.house import House, key
from tests.reports.hostile import HOSTILE
from tests.web.conftest import Web, fill

PAGES = (
    "/",
    "/findings",
    "/credentials",
    "/runs",
    "/runs/1",
    "/compare",
    "/trends",
    "/coverage",
    "/schedules",
)


def ids(text: str) -> list[str]:
    return re.findall(r'href="/findings/([0-9a-f]+)"', text)


def links(text: str) -> set[str]:
    return {found.replace("&amp;", "&") for found in re.findall(r'href="(/[^"#]*)', text)}


def follow(visitor, path: str, word: str) -> list[str]:
    """Return the paths of a list from *path* on by its links called *word*."""
    paths = [path]
    while found := re.search(rf'href="([^"]+)"[^>]*>{word}</a>', visitor.get(paths[-1]).text):
        paths.append(found[1].replace("&amp;", "&"))
        assert len(paths) < 20
    return paths


@pytest.mark.parametrize("path", PAGES)
def test_every_page_of_the_menu_answers(visitor, path):
    answer = visitor.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1" in answer.text


def test_every_link_on_every_page_leads_somewhere(visitor):
    seen: set[str] = set()
    waiting = set(PAGES)
    while waiting and len(seen) < 150:
        path = waiting.pop()
        seen.add(path)
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html") and "report" not in path:
            waiting |= links(answer.text) - seen


def test_the_verdict_is_that_of_the_newest_run(visitor):
    text = visitor.get("/").text

    assert 'Run <a href="/runs/3">3</a>' in text
    assert "Deal with these first" in text
    assert len(set(ids(text))) == 6


def test_the_pages_of_findings_together_are_the_report_in_its_order(web, visitor):
    with recall(web.store, web.config, "latest") as view:
        expected = [finding.state.id for finding in view.findings()]
    forward = follow(visitor, "/findings?status=any", "Next")
    found = [one for path in forward for one in ids(visitor.get(path).text)]
    back = follow(visitor, forward[-1], "Previous")

    assert found == expected
    assert len(forward) == len(back)
    assert [ids(visitor.get(path).text) for path in reversed(back)][1:-1] == [
        ids(visitor.get(path).text) for path in forward
    ][1:-1]


def test_filters_and_words_narrow_the_findings(web, visitor):
    def found(**query: str) -> set[str]:
        given = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        paths = follow(visitor, f"/findings?{given}", "Next")
        return {one for path in paths for one in ids(visitor.get(path).text)}

    with recall(web.store, web.config, "latest") as view:
        rows = [one for one in view.findings() if one.state.status == "open"]

    def where(test) -> set[str]:
        return {one.state.id for one in rows if test(one)}

    assert found() == where(bool)
    assert found(policy="dormant-credential") == where(
        lambda one: one.state.policy_id == "dormant-credential"
    )
    assert found(organization="acme:org-1") == where(
        lambda one: one.credential.organization.id == "org-1"
    )
    assert found(owner="none") == where(lambda one: not one.credential.owner)
    assert found(severity="medium") == where(lambda one: one.state.severity == "medium")
    assert found(q="17 DEPLOY") == where(lambda one: one.credential.name == "deploy 17")
    assert found(q="deploy 17", owner="team-2@example.com") == set()
    assert found(q="nothing is called so") == set()
    assert found(owner="o'; DROP TABLE finding;--") == set()


def test_findings_come_newest_or_oldest_first(audited, visitor):
    newest = [
        one
        for path in follow(visitor, "/findings?order=new", "Next")
        for one in ids(visitor.get(path).text)
    ]
    oldest = [
        one
        for path in follow(visitor, "/findings?order=old", "Next")
        for one in ids(visitor.get(path).text)
    ]

    assert sorted(newest) == sorted(oldest)
    assert len(set(newest)) == len(newest)


def test_words_that_mean_nothing_in_an_address_do_no_harm(visitor):
    for query in (
        "after=x",
        "after=-1",
        "before=9999999999999999999",
        "order=DROP",
        "after=7&before=3",
        "q=" + "x" * 5000,
        "status=%00",
        "q=%ff%fe",
    ):
        assert visitor.get(f"/findings?{query}").status_code == 200, query
        assert visitor.get(f"/credentials?{query}").status_code == 200, query
    for path in (
        "/compare?from=x&to=y",
        "/compare?from=3&to=3",
        "/compare?from=99&to=1",
        "/coverage?from=-3",
        "/runs?after=x",
        "/credential?uid=x&from=1",
    ):
        assert visitor.get(path).status_code in (200, 404), path


def test_a_finding_shows_its_evidence_its_remedy_and_its_history(visitor):
    found = ids(visitor.get("/findings?q=deploy+7").text)[0]
    text = visitor.get(f"/findings/{found}").text

    assert "Evidence" in text
    assert "What mends it" in text
    assert "opened" in text
    assert 'href="/runs/1"' in text
    assert 'href="/credential?uid=' in text


def test_a_finding_that_ended_earlier_is_still_found(web, visitor):
    ended = web.store.findings(status="resolved")
    text = visitor.get(f"/findings/{ended[0].state.id}").text

    assert ended
    assert "resolved" in text
    assert "fixed" in text


def test_a_credential_tells_its_story(visitor):
    uid = re.search(
        r'/credential\?uid=([^"]+)"[^>]*>deploy renamed', visitor.get("/credentials?q=renamed").text
    )
    assert uid is not None
    text = visitor.get(f"/credential?uid={uid[1]}").text

    assert "<del>deploy 3</del> → <ins>deploy renamed</ins>" in text
    assert "Appeared" in text
    assert "items" in text


def test_a_credential_that_is_gone_is_shown_as_it_was_seen_last(web, visitor):
    uids = {one.uid for one in web.store.credentials(1)} - {
        one.uid for one in web.store.credentials(2)
    }
    text = visitor.get("/credential", params={"uid": uids.pop()}).text

    assert "no longer knew it" in text
    assert "deploy 2" in text


def test_runs_are_compared(web, visitor):
    text = visitor.get("/compare?from=1&to=3").text

    assert "deploy renamed" in text
    assert "removed" in text
    assert "added" in text
    assert "resolved" in text
    assert visitor.get("/compare?from=3&to=1").text == text
    assert "It takes two different runs" in visitor.get("/compare?from=2&to=2").text


def test_schedules_show_when_they_are_due(web, visitor):
    web.store.ledger.begin("nightly", "2026-03-01T03:00", at=web.app.state.site.clock())
    text = visitor.get("/schedules").text

    assert "0 3 * * *, Europe/Berlin" in text
    assert "4 Mar 2026, 02:00 UTC" in text
    assert 'href="/runs/1"' in text


def test_a_report_is_the_one_that_the_run_wrote(audited, visitor):
    answer = visitor.get("/runs/1/report/json")

    assert answer.content == (audited.root / "reports" / "report-1.json").read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="report-1.json"'


def test_a_report_that_was_not_kept_is_rendered(visitor):
    answer = visitor.get("/runs/2/report/csv")

    assert answer.status_code == 200
    assert "deploy renamed" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/runs/99",
        "/runs/1/report/nothing",
        "/runs/1/report/..%2f..%2fconfig.yaml",
        "/findings/none",
        "/credential?uid=none",
        "/findings/%25",
        "/static/../config.yaml",
    ],
)
def test_what_is_not_there_is_said_to_be_missing(visitor, path):
    answer = visitor.get(path)

    assert answer.status_code == 404
    assert "Not here" in answer.text


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/runs/99", "/runs"),
        ("/credential?uid=none", "/credentials"),
        ("/findings/none", "/findings"),
        ("/nothing", "/"),
    ],
)
def test_what_is_missing_leads_back_to_its_list(visitor, path, back):
    main = visitor.get(path).text.partition("<main")[2]

    assert links(main) == {back, "/"}


def test_a_run_that_cannot_be_compared_is_named(visitor):
    text = visitor.get("/compare?from=1&to=77").text

    assert "Run 77 is not known, or was not judged." in text
    assert "Run 1 is not known" not in text


def test_a_newer_run_is_shown_once_it_is_laid_out(tmp_path):
    house = House(tmp_path)
    house.export(key(1))
    house.audit()
    web = Web(house)
    with web.store, web.client() as visitor:
        assert "/runs/1" in visitor.get("/").text
        house.later(days=1)
        house.export(key(1), key(2))
        house.audit()
        shelf = web.app.state.site.shelf
        shelf.refresh()
        assert "/runs/2" in visitor.get("/").text


def test_without_a_judged_run_the_pages_say_so(tmp_path):
    house = House(tmp_path)
    house.export(key(1))
    web = Web(house)
    with web.store, web.client() as visitor:
        assert "No run has been judged yet" in visitor.get("/").text
        assert visitor.get("/runs").status_code == 200
        begun = web.store.begin_run(now=house.now, started_at=house.now)
        assert "still going on" in visitor.get(f"/runs/{begun}").text


def test_a_run_whose_process_is_gone_is_not_said_to_go_on(tmp_path):
    house = House(tmp_path)
    house.export(key(1))
    web = Web(house)
    with web.store, web.client() as visitor:
        begun = web.store.begin_run(now=house.now, started_at=house.now, holder="killed")
        time.sleep(0.01)
        text = visitor.get(f"/runs/{begun}").text
        assert "Its process is gone since" in text
        assert "still going on" not in text
        assert ">interrupted<" in visitor.get("/runs").text


def test_hostile_names_stay_text_on_every_page(tmp_path):
    house = House(tmp_path)
    fill(house, names=tuple(name.encode("utf-8", "replace").decode() for name in HOSTILE))
    web = Web(house)
    with web.store, web.client() as visitor:
        paths = {*PAGES}
        for start in (
            "/findings?status=any",
            "/credentials",
            "/credentials?after=60",
            "/compare?from=1&to=3",
        ):
            paths |= {start} | links(visitor.get(start).text)
        for path in paths:
            answer = visitor.get(path)
            if "/report/" in path or not answer.headers["content-type"].startswith("text/html"):
                continue
            tree = html5lib.parse(answer.text, namespaceHTMLElements=False)
            for element in tree.iter():
                assert element.tag not in ("script", "img", "iframe", "object", "b-x"), path
                for name, value in element.attrib.items():
                    assert not name.startswith("on"), path
                    assert name != "style", path
                    if name in ("href", "src", "action"):
                        assert value.startswith(("/", "#", "https://")), (path, value)


def test_the_lists_are_read_by_key_whatever_was_asked(web):
    site = web.app.state.site
    edition = site.shelf.current()
    for order in lookup.ORDERS:
        query = lookup.Query(words="", filters={"status": "open"}, order=order)
        whole = lookup.findings(edition.catalogue, query, 1000)
        seen = []
        page = lookup.findings(edition.catalogue, query, 7)
        while True:
            seen += [one.state.id for one in page.rows]
            if page.later is None:
                break
            query = lookup.Query(words="", filters=query.filters, order=order, after=page.later)
            page = lookup.findings(edition.catalogue, query, 7)
        assert seen == [one.state.id for one in whole.rows]
        assert whole.total == len(seen)


def test_a_run_that_cannot_be_read_back_is_said_so_and_not_tried_again(tmp_path):
    house = House(tmp_path)
    house.export(key(1))
    house.audit()
    web = Web(house)
    with web.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE run SET context = x'00'")
    with web.store, web.client() as visitor:
        for _ in range(2):
            answer = visitor.get("/findings")
            assert answer.status_code == 503
            assert "The log says why" in answer.text
        assert visitor.get("/runs/1").status_code == 200


def test_one_report_is_rendered_at_a_time(visitor, monkeypatch):
    monkeypatch.setattr(runs, "_PATIENCE", 0.05)
    with runs._rendering:
        busy = visitor.get("/runs/2/report/markdown")
    then = visitor.get("/runs/2/report/markdown")

    assert busy.status_code == 503
    assert "try again in a minute" in busy.text
    assert then.status_code == 200
