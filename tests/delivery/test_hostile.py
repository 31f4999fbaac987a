"""Names that providers let people type reach no header, no markup and no command of a mail."""

from collections.abc import Callable
from email import message_from_bytes, policy
from typing import Any

import html5lib
import pytest

from auditor.delivery.email import EmailChannel, EmailOptions
from auditor.findings.view import ReportView
from auditor.model import Change, CoverageStatus, Organization, Principal, Risk

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</td></tr></table></body><script>alert(1)//",
    "<!--[if mso]><script>x</script><![endif]-->",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} <%= 7*7 %> {% raw %}",
    "]]><!--",
    "a\r\nBcc: evil@example.org",
    "a\nSubject: owned",
    "a\u2028Bcc: evil@example.org",
    "a\u0085Bcc: evil@example.org",
    "=?utf-8?q?=0ABcc:_evil@example.org?=",
    "\x1b[31mred\x1b]0;title\x07",
    "\x00\x7f",
    "\ud800",
    "\u202egnp.exe",
    "e" + "\u0301" * 500,
    ".\r\n.\r\nMAIL FROM:<evil@example.org>",
    ".",
    "\r\n.\r\n",
    "From here on",
    "x" * 100_000,
    "--=_0\r\nContent-Type: text/html",
]


def mail() -> EmailChannel:
    options = {
        "name": "security",
        "channel": "email",
        "host": "localhost",
        "from": "auditor@example.com",
        "to": ["sec@example.com"],
        "attach": [],
        "when": "always",
    }
    return EmailChannel(EmailOptions.model_validate(options), lambda text: text)


@pytest.fixture
def story(view, finding, mended, coverage) -> Callable[[str], ReportView]:
    """A run in which one text stands wherever a provider or a policy puts text."""

    def tell(text: str) -> ReportView:
        facts: dict[str, Any] = {
            "name": text,
            "type": text,
            "owner": text,
            "url": text,
            "organization": Organization("org-1", text),
            "principal": Principal("p", text),
        }
        words = {"title": text, "message": text, "risk": Risk(50, (text,)), "credential": facts}
        run: ReportView = view(
            finding("key-1", change=Change.OPENED, **words),
            mended("key-2", **words),
            covered=(
                coverage(source=text, status=CoverageStatus.FAILED, error=text, known_gap=text),
            ),
            verdict=text,
        )
        return run

    return tell


def parse(run: ReportView) -> tuple[list[tuple[str, str]], str, str]:
    (parcel,) = mail().parcels(run)
    body = mail().render(run, parcel)
    message = message_from_bytes(body, policy=policy.default)
    parts = [message.get_body((kind,)) for kind in ("plain", "html")]
    text, page = (part.get_content() for part in parts if part is not None)
    return [(name, str(value)) for name, value in message.items()], text, page


def skeleton(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements and attribute names of a page, in order."""
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    return [(str(element.tag), tuple(sorted(element.attrib))) for element in tree.iter()]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:24]))
def test_a_hostile_name_changes_neither_headers_nor_markup(text, story):
    headers, said, page = parse(story(text))
    expected_headers, _, expected_page = parse(story("benign"))
    ignored = ("Content-Type",)  # the boundary
    assert [h for h in headers if h[0] not in ignored] == [
        h for h in expected_headers if h[0] not in ignored
    ]
    assert skeleton(page) == skeleton(expected_page)
    for control in ("\x00", "\x1b", "\x07", "\u202e", "\u2028", "\r"):
        assert control not in said.replace("\r\n", "\n")
        assert control not in page.replace("\r\n", "\n")
    assert len(page) < 60_000


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://x.example",
        "data:text/html,x",
        " https://x",
        'https://x.example/"><b>',
        "https://user@x.example",
        "https://x.example\nBcc: y",
    ],
)
def test_only_https_links_become_links(url, view, finding):
    _, _, page = parse(view(finding("key-1", credential={"url": url})))
    assert "<a " not in page


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:24]))
async def test_hostile_text_arrives_as_one_mail_of_the_same_bytes(text, story, post):
    server = post("none")
    channel = mail()
    channel.options = channel.options.model_copy(update={"port": server.port, "tls": "none"})
    run = story(text)
    (parcel,) = channel.parcels(run)
    body = channel.render(run, parcel)
    await channel.send(body, parcel)
    (envelope,) = server.handler.accepted
    assert envelope.content == body
    assert envelope.rcpt_tos == ["sec@example.com"]
