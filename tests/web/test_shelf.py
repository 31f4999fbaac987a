"""The newest run is laid out beside the serving, under the configuration in force."""

import threading

from auditor.config import load_config
from auditor.web.app import reload
from auditor.web.traffic import Traffic
from tests.house import House, key
from tests.web.conftest import Web


def test_until_the_first_run_is_laid_out_the_pages_say_so_and_come_again(audited):
    web = Web(audited)
    shelf = web.app.state.site.shelf
    with web.store, web.client() as visitor:
        shelf.close()
        with shelf._building:
            shelf._is_closing = False
            waiting = visitor.get("/findings")
            runs = visitor.get("/runs")
        shelf.refresh()
        ready = visitor.get("/findings")

    assert waiting.status_code == 503
    assert "being made ready" in waiting.text
    assert waiting.headers["refresh"] == waiting.headers["retry-after"] == "2"
    assert runs.status_code == ready.status_code == 200


def test_the_pages_follow_another_configuration(tmp_path):
    house = House(tmp_path)
    house.extra = "schedules: [{name: nightly, daily: '03:00'}]"
    house.export(key(1))
    house.audit()
    web = Web(house)
    with web.store, web.client() as visitor:
        assert "nightly" in visitor.get("/schedules").text
        before = visitor.get("/coverage").text
        house.sources = ("exports", "others")
        house.extra = "schedules: [{name: weekly, cron: '0 3 * * 1'}]"
        house.config()
        reload(web.app, load_config(house.root / "config.yaml"))
        web.lay_out()
        after = visitor.get("/coverage").text
        schedules = visitor.get("/schedules").text

    assert "others" not in before
    assert "others" in after
    assert "weekly" in schedules
    assert "nightly" not in schedules


def test_a_page_that_began_with_a_run_that_is_gone_asks_to_try_again(audited):
    web = Web(audited)
    with web.store, web.client() as visitor:
        site = web.app.state.site
        assert visitor.get("/findings").status_code == 200
        site.shelf.current().catalogue.close()
        answer = visitor.get("/findings")

    assert answer.status_code == 503
    assert "try again" in answer.text


def test_work_beside_waits_for_whoever_is_answered_but_not_for_ever():
    traffic = Traffic()
    with traffic.answering():
        traffic.give_way()
        beside = threading.Thread(target=traffic.give_way)
        beside.start()
    beside.join(10)

    assert not beside.is_alive()


def test_closing_leaves_what_is_being_laid_out(audited):
    web = Web(audited)
    shelf = web.app.state.site.shelf
    shelf.open()
    shelf.close()

    assert shelf._edition is None
    shelf.refresh()
    assert shelf._edition is None
    web.store.close()
