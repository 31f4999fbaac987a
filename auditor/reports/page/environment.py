"""The Jinja environment of the page: escapes everything, knows no undefined names, loads no code.

Styles and scripts stand in the page itself; their digests go into its content security policy, so
that a browser runs these and nothing else.
"""

import hashlib
import re
from base64 import b64encode
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auditor.resources import bundled
from auditor.wording import ago, count, day, duration, instant, label, shown

_STYLE = "report/style.css"
_SCRIPT = "report/script.js"
_COUNT = re.compile(r"(\d) (?=\w)")


@cache
def environment() -> Environment:
    """Return the environment; autoescape is unconditional, whatever a template is called."""
    made = Environment(
        loader=FileSystemLoader(bundled("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters.update(
        ago=ago,
        bound=_bound,
        day=day,
        duration=duration,
        grouped=_grouped,
        instant=instant,
        label=label,
        pairs=_pairs,
        shown=shown,
    )
    made.globals["count"] = count
    return made


def content_policy() -> str:
    """Return the page's content security policy: its own style and script, no network at all."""
    style, script = _digest(_STYLE), _digest(_SCRIPT)
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(template: str) -> str:
    content = environment().get_template(template).render()
    return "sha256-" + b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _bound(sentence: str) -> str:
    """Keep a number on the line of what it counts."""
    return _COUNT.sub("\\1\u00a0", sentence)


def _pairs(facts: Any) -> str:
    return "\n".join([f"{name}: {value}" for name, value in facts])


def _grouped(number: Any) -> str:
    return f"{number:,}"
