"""Mail goes through a real SMTP server, and every way of failing says what comes next."""

import asyncio
import gc
import re
import socket
from contextlib import suppress
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from auditor.delivery.email import EmailChannel, EmailOptions
from auditor.delivery.interface import Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import EndingException
from auditor.model import (
    Change,
    CoverageStatus,
    ExceptionNote,
    FindingStatus,
    Organization,
    Resolution,
    Risk,
    Severity,
)


def channel(documents=None, **options: Any) -> EmailChannel:
    defaults: dict[str, Any] = {
        "name": "security",
        "channel": "email",
        "host": "localhost",
        "from": "Auditor <auditor@example.com>",
        "to": ["sec@example.com"],
        "attach": [] if documents is None else ["plain"],
    }
    checked = EmailOptions.model_validate(defaults | options)
    more = {} if documents is None else {"documents": documents}
    return EmailChannel(checked, lambda text: text, **more)


def reread(body: bytes) -> EmailMessage:
    message = message_from_bytes(body, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.fixture
def run(view, finding, mended, coverage):
    return view(
        finding("admin-key", severity=Severity.CRITICAL, change=Change.OPENED),
        finding("old-key"),
        mended("gone-key"),
        covered=(
            coverage(),
            coverage(
                source="aws",
                status=CoverageStatus.FAILED,
                error="aws: access denied; grant iam:List",
            ),
        ),
    )


# What the message says


def test_the_subject_holds_the_verdict_and_the_counts(run):
    (parcel,) = channel().parcels(run)
    subject = reread(channel().render(run, parcel))["Subject"]
    assert subject == ("[auditor] Act now (1 critical, 1 high; 1 new, 1 fixed; 1 gap in coverage)")


def test_text_and_html_say_what_comes_first_what_changed_and_what_was_not_read(run):
    (parcel,) = channel().parcels(run)
    message = reread(channel().render(run, parcel))
    for kind in ("plain", "html"):
        said = part(message, kind)
        for fact in (
            "admin-key",
            "old-key",
            "gone-key",
            "can administer the account",
            "Revoke it after asking its owner.",
            "aws: access denied; grant iam:List",
            "No use for 400 days",
        ):
            assert fact in said
        assert said.index("admin-key") < said.index("old-key")


def test_exceptions_about_to_end_are_announced_but_not_to_single_owners(view, finding):
    note = ExceptionNote(reason="until the move", approver="ciso", expires="2026-03-10")
    run = replace(
        view(finding("a", change=Change.OPENED, credential={"owner": "anna@example.com"})),
        ending_exceptions=(EndingException("principal break-glass", note),),
    )
    mail = channel(per_owner=True, owner_domains=["example.com"])
    parcels = {parcel.recipient: parcel for parcel in mail.parcels(run)}

    everything = reread(mail.render(run, parcels["sec@example.com"]))
    annas = reread(mail.render(run, parcels["anna@example.com"]))

    for kind in ("plain", "html"):
        for fact in ("2026-03-10", "principal break-glass", "ciso", "until the move"):
            assert fact in part(everything, kind)
        assert "break-glass" not in part(annas, kind)


def test_headers_thread_and_mark_the_mail_as_automatic(run):
    (parcel,) = channel().parcels(run)
    message = reread(channel().render(run, parcel))
    assert message["Message-ID"] == parcel.message_id
    assert re.fullmatch(r"<run-12\.[0-9a-f]{32}@example\.com>", parcel.message_id)
    assert message["Date"] == "Sun, 01 Mar 2026 03:04:00 +0000"
    assert message["From"] == "Auditor <auditor@example.com>"
    assert message["To"] == "sec@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "auditor security <security.auditor.example.com>"
    assert message["References"] == message["In-Reply-To"] != message["Message-ID"]


def test_the_same_run_gives_the_same_bytes(run, documents):
    mail = channel(documents)
    (parcel,) = mail.parcels(run)
    assert mail.render(run, parcel) == channel(documents).render(run, parcel)


def test_html_has_its_styles_inline_and_asks_for_nothing_from_outside(run):
    (parcel,) = channel().parcels(run)
    page = part(reread(channel().render(run, parcel)), "html")
    assert "<style" not in page
    assert "class=" not in page or 'style="' in page
    assert not re.search(r"(?i)<(?:img|link|script|iframe)|url\(|http://", page)


def test_the_report_is_attached_whole_where_it_fits(run, documents):
    mail = channel(documents)
    (parcel,) = mail.parcels(run)
    (attached,) = reread(mail.render(run, parcel)).iter_attachments()
    assert attached.get_filename() == "report-12.txt"
    assert attached.get_content().count("\n") == 3


def test_a_report_over_the_limit_is_cut_and_the_mail_says_so(view, finding, documents):
    many = view(*(finding(f"key-{n}", message="x" * 1000) for n in range(1500)))
    mail = channel(documents, size_limit="1MB", when="findings")
    (parcel,) = mail.parcels(many)
    body = mail.render(many, parcel)
    message = reread(body)
    (attached,) = message.iter_attachments()
    assert len(body) <= 1_000_000
    assert attached.get_filename() == "report-12-first-200.txt"
    assert attached.get_content().count("\n") == 200
    for kind in ("plain", "html"):
        assert "holds the 200 findings with the highest risk" in part(message, kind)
        assert "auditor report --run 12 --format plain" in part(message, kind)


def test_a_report_that_fits_in_no_form_is_left_out_and_the_mail_says_so(view, finding, documents):
    huge = view(finding("key-1", message="x" * 2_000_000))
    mail = channel(documents, size_limit="1MB", when="findings")
    (parcel,) = mail.parcels(huge)
    message = reread(mail.render(huge, parcel))
    assert list(message.iter_attachments()) == []
    assert "too large for this mail and left out" in part(message, "plain")


# Whom it concerns


@pytest.mark.parametrize(
    ("when", "story", "speaks"),
    [
        ("always", "nothing", True),
        ("findings", "nothing", False),
        ("findings", "old", True),
        ("changes", "old", False),
        ("changes", "new", True),
        ("changes", "mended", True),
        ("changes", "handed over", False),
        ("changes", "suppressed", False),
        ("changes", "worsened", True),
        ("changes", "baseline", True),
        ("resolved", "new", False),
        ("resolved", "mended", True),
        ("resolved", "handed over", False),
    ],
)
def test_when_decides_whether_a_run_is_told(when, story, speaks, view, finding, mended, coverage):
    stories = {
        "nothing": view,
        "old": lambda: view(finding("a")),
        "new": lambda: view(finding("a", change=Change.REOPENED)),
        "mended": lambda: view(mended("a")),
        "handed over": lambda: view(mended("a", resolution=Resolution.SUPERSEDED)),
        "suppressed": lambda: view(
            finding("a", status=FindingStatus.SUPPRESSED, change=Change.SUPPRESSED)
        ),
        "worsened": lambda: view(coverage_worsened=(coverage(status=CoverageStatus.FAILED),)),
        "baseline": lambda: view(
            finding("a", change=Change.OPENED), covered=(coverage(is_baseline=True),)
        ),
    }
    told = channel(when=when).recipients(stories[story]())
    assert bool(told) is speaks


def test_the_first_look_at_a_source_is_counted_and_not_listed_as_new(view, finding, coverage):
    first = view(
        *(finding(f"key-{n}", change=Change.OPENED) for n in range(30)),
        covered=(coverage(is_baseline=True),),
    )
    (parcel,) = channel().parcels(first)
    message = reread(channel().render(first, parcel))
    assert "30 new" not in message["Subject"]
    assert "first look" in message["Subject"]
    text = part(message, "plain")
    assert "keycard-prod · Example: 30 open findings" in text
    assert text.index("DEAL WITH THESE FIRST") < text.index("FIRST LOOK")
    assert "There at the first look" in text
    assert "   New\n" not in text


def test_many_first_looks_do_not_bury_what_to_deal_with_first(view, finding, coverage):
    organizations = [Organization(id=f"org-{n}", name=f"Account {n:03}") for n in range(300)]
    first = view(
        *(
            finding(f"key-{n}", change=Change.OPENED, credential={"organization": one})
            for n, one in enumerate(organizations)
        ),
        covered=tuple(coverage(is_baseline=True, organization=one) for one in organizations),
    )
    (parcel,) = channel().parcels(first)
    message = reread(channel().render(first, parcel))
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert text.count("Account 0") < 60
        assert "more organizations" in text


def test_the_severity_is_no_reason_beside_the_severity(view, finding):
    risk = Risk(80, ("high severity", "it has admin rights", "nobody owns it", "it never expires"))
    run = view(finding("a", change=Change.OPENED, severity=Severity.HIGH, risk=risk))
    (parcel,) = channel().parcels(run)
    text = part(reread(channel().render(run, parcel)), "plain")
    assert "Why first: it has admin rights; nobody owns it; it never expires" in text


def test_an_attached_page_says_how_its_characters_are_written(view, finding, documents):
    run = view(finding("a", change=Change.OPENED))
    mail = channel(documents, attach=["html"])
    (parcel,) = mail.parcels(run)
    attached = next(reread(mail.render(run, parcel)).iter_attachments())
    assert attached.get_content_charset() == "utf-8"


def test_findings_below_the_threshold_are_no_reason(view, finding):
    run = view(finding("a", change=Change.OPENED, severity=Severity.LOW))
    assert channel(min_severity="medium").recipients(run) == []
    assert channel(min_severity="low").recipients(run) == ["sec@example.com"]


def test_every_owner_gets_only_theirs_and_only_at_allowed_domains(view, finding, documents):
    def owned(key, owner, **changes):
        return finding(key, change=Change.OPENED, credential={"owner": owner}, **changes)

    run = view(
        owned("anna-1", "Anna@Example.com"),
        owned("anna-2", "anna@example.com"),
        owned("bert-1", "bert@example.com"),
        owned("eve-1", "eve@elsewhere.example"),
        owned("team-1", "platform team"),
        owned("bad-1", "x@example.com\r\nBcc: y@example.com"),
        finding("nobody-1", change=Change.OPENED),
    )
    mail = channel(documents, per_owner=True, owner_domains=["example.com"])
    parcels = {parcel.recipient: parcel for parcel in mail.parcels(run)}
    assert sorted(parcels) == ["anna@example.com", "bert@example.com", "sec@example.com"]
    assert len({parcel.message_id for parcel in parcels.values()}) == 3

    message = reread(mail.render(run, parcels["anna@example.com"]))
    (attached,) = message.iter_attachments()
    said = part(message, "plain") + part(message, "html") + attached.get_content()
    assert "anna-1" in said
    assert "anna-2" in said
    for foreign in ("bert", "eve", "team-1", "bad-1", "nobody-1", "3 credentials"):
        assert foreign not in said
    assert message["Subject"] == "[auditor] Your credentials: Action needed (2 high; 2 new)"
    assert "bert-1" in part(reread(mail.render(run, parcels["sec@example.com"])), "plain")


def test_a_recipient_who_left_the_configuration_is_not_written_to(run):
    parcel = Parcel("former@example.com", "<x@example.com>", run.run.finished_at)
    with pytest.raises(DeliveryError, match="no recipient of security any more") as caught:
        channel().render(run, parcel)
    assert not caught.value.retry


# What the configuration refuses


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tls": "none", "host": "smtp.example.com"}, "localhost only"),
        ({"password": "x"}, "needs a username"),
        ({"to": []}, "give `to`"),
        ({"per_owner": True}, "needs owner_domains"),
        ({"to": ["a@example.com\nBcc: b@example.com"]}, "an address is written like"),
        ({"to": ["a@example.com, b@example.com"]}, "an address is written like"),
        ({"from": "Auditor\r\nBcc: <a@example.com>"}, "an address is written like"),
        ({"to": ["ü@example.com"]}, "an address is written like"),
        ({"size_limit": "1kB"}, "greater than or equal"),
        ({"attachments": []}, "Extra inputs"),
    ],
)
def test_a_wrong_channel_is_refused_with_a_sentence(options, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        channel(**options)


def test_references_are_left_for_the_moment_the_channel_opens():
    assert channel(**{"from": "${env:FROM}", "to": "${env:TO}", "host": "${env:HOST}"})


# How it is handed over


async def hand_over(post, run, **options: Any) -> Parcel:
    defaults = {"port": post.port, "ca_bundle": post.ca_bundle, "timeout": 5}
    mail = channel(**(defaults | options))
    (parcel,) = mail.parcels(run)
    await mail.send(mail.render(run, parcel), parcel)
    return parcel


@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
async def test_the_server_gets_exactly_the_bytes_rendered(tls, post, run):
    server = post(tls)
    parcel = await hand_over(server, run, tls=tls)
    (envelope,) = server.handler.accepted
    assert envelope.rcpt_tos == ["sec@example.com"]
    assert envelope.mail_from == "auditor@example.com"
    assert envelope.content == channel().render(run, parcel)


async def test_username_and_password_are_resolved_when_used(post, run):
    server = post(login=("robot", "CANARY-word"))
    mail = channel(
        port=server.port, ca_bundle=server.ca_bundle, username="robot", password="${env:WORD}"
    )
    mail.resolve = lambda text: "CANARY-word" if text == "${env:WORD}" else text
    (parcel,) = mail.parcels(run)
    body = mail.render(run, parcel)
    await mail.send(body, parcel)
    assert server.authentications == [(b"robot", b"CANARY-word")]
    assert b"CANARY" not in body


async def refused(post, run, **options: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await hand_over(post, run, **options)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "retry"),
    [("550 5.1.1 no such user", False), ("451 4.7.1 greylisted, come back", True)],
)
async def test_a_refused_recipient_is_final_with_5xx_and_tried_again_with_4xx(
    answer, retry, post, run
):
    server = post()
    server.handler.recipient_answers["sec@example.com"] = answer
    error = await refused(server, run)
    assert error.retry is retry
    assert not error.in_doubt
    assert "sec@example.com" in str(error)
    assert answer[:3] in str(error)


@pytest.mark.parametrize(
    ("step", "answer", "retry"),
    [
        ("mail_answer", "553 not your sender", False),
        ("mail_answer", "421 too busy", True),
        ("data_answer", "554 looks like spam", False),
        ("data_answer", "452 mailbox full", True),
    ],
)
async def test_a_refused_message_is_final_with_5xx_and_tried_again_with_4xx(
    step, answer, retry, post, run
):
    server = post()
    setattr(server.handler, step, answer)
    error = await refused(server, run)
    assert error.retry is retry
    assert not error.in_doubt


async def test_a_connection_cut_after_the_message_leaves_it_in_doubt(post, run):
    server = post()
    server.handler.data_answer = "cut"
    error = await refused(server, run)
    assert error.retry
    assert error.in_doubt
    assert "may have arrived" in str(error)
    assert len(server.handler.accepted) == 1


async def test_a_wrong_password_is_tried_again_after_somebody_mends_it(post, run):
    server = post(login=("robot", "right-word"))
    error = await refused(server, run, username="robot", password="CANARY-wrong")
    assert error.retry
    assert "did not accept username and password (535)" in str(error)
    assert "CANARY" not in str(error)
    assert server.handler.accepted == []


async def test_nothing_is_said_to_a_server_whose_certificate_is_not_trusted(post, run):
    server = post(login=("robot", "word"))
    error = await refused(server, run, ca_bundle=None, username="robot", password="word")
    assert error.retry
    assert "is not trusted" in str(error)
    assert "ca_bundle" in str(error)
    assert server.authentications == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_for_another_host_is_refused(tls, post, run):
    error = await refused(post(tls, identity="mail.elsewhere.example"), run, tls=tls)
    assert error.retry
    assert "is not trusted" in str(error)


async def test_a_server_without_starttls_gets_nothing(post, run):
    server = post("none")
    error = await refused(server, run, tls="starttls")
    assert "offers no STARTTLS" in str(error)
    assert server.handler.accepted == []


def connections_to(port: int) -> list[socket.socket]:
    found = [one for one in gc.get_objects() if isinstance(one, socket.socket)]
    return [one for one in found if one.fileno() != -1 and peer_port(one) == port]


def peer_port(one: socket.socket) -> int | None:
    try:
        return int(one.getpeername()[1])
    except (OSError, IndexError, ValueError):
        return None


@pytest.mark.parametrize(
    ("password", "answer"),
    [("word", "250 OK"), ("word", "554 looks like spam"), ("wrong", "250 OK")],
)
async def test_no_connection_outlives_the_delivery_however_it_ends(password, answer, post, run):
    server = post(login=("robot", "word"))
    server.handler.data_answer = answer
    with suppress(DeliveryError):
        await hand_over(server, run, username="robot", password=password)
    assert connections_to(server.port) == []


async def test_a_closed_port_is_tried_again(run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    mail = channel(port=port)
    (parcel,) = mail.parcels(run)
    with pytest.raises(DeliveryError, match="No connection to localhost") as caught:
        await mail.send(b"", parcel)
    assert caught.value.retry


async def scripted(answers: dict[str, bytes | None], run) -> DeliveryError:
    """Talk to a server that answers by the first word of each line; None hangs, b"" cuts."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        word = "GREETING"
        try:
            while (answer := answers.get(word, b"250 OK\r\n")) != b"":
                writer.write(answer or b"")
                if not (line := await reader.readline()):
                    break
                word = (line.split() or [b""])[0].decode(errors="replace").upper()
        except ConnectionError:
            pass
        finally:
            writer.close()

    talks: list[asyncio.Task[None]] = []
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        patience = 2 if None in answers.values() else 30
        mail = channel(host="127.0.0.1", port=port, tls="none", timeout=patience)
        (parcel,) = mail.parcels(run)
        with pytest.raises(DeliveryError) as caught:
            await mail.send(b"Subject: x\r\n\r\nx\r\n", parcel)
        await asyncio.gather(*talks)
    return caught.value


GREETING: dict[str, bytes | None] = {"GREETING": b"220 here\r\n"}


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", [None, b""], ids=["hangs", "cuts"])
async def test_a_server_that_falls_silent_before_the_message_has_not_got_it(step, answer, run):
    error = await scripted(GREETING | {step: answer, "HELO": answer}, run)
    assert error.retry
    assert not error.in_doubt


@pytest.mark.parametrize("answer", [None, b""], ids=["hangs", "cuts"])
async def test_a_server_that_falls_silent_after_the_message_may_have_got_it(answer, run):
    silent: dict[str, bytes | None] = {"SUBJECT:": None, "": None, "X": None, ".": answer}
    error = await scripted(GREETING | {"DATA": b"354 go\r\n"} | silent, run)
    assert error.retry
    assert error.in_doubt


@pytest.mark.parametrize("answer", [b"what?\r\n", b"\x00\xff\r\n", b"9" * 9000 + b"\r\n"])
async def test_garbage_for_an_answer_is_tried_again(answer, run):
    error = await scripted(GREETING | {"MAIL": answer}, run)
    assert error.retry
    assert str(error).isprintable()
