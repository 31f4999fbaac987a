"""GitHub, Google Cloud and Microsoft Entra with 2,000 repositories, projects or applications.

Memory is the peak while nothing but the count of credentials is kept, at 200 and at 2,000. The
paces that these providers ask for are switched off: what is measured is the auditor.
"""

import sys
from functools import partial
from typing import Any

from auditor.collectors.interface import Collector, Context
from benchmarks._served import Cost, measure, serve
from tests.collectors.clouds import open_entra, open_gcp, open_github
from tests.fakes.entra import FakeEntra, secret
from tests.fakes.gcp import FakeGcp
from tests.fakes.github import APP_KEY, FakeGithub
from tests.fakes.http import LoopbackServer

LATENCY = 0.1
FEW, MANY = 200, 2_000
TIMED = {"gcp": 300}
"""How many are timed, where that is not all: a project takes six requests."""
SUBSETS = 10
"""One in so many tokens is bound to some repositories, which takes a request."""


class _Address:
    """As much of a server as the openers look at."""

    def __init__(self, url: str) -> None:
        self.url = url


def github(many: int, latency: float) -> LoopbackServer:
    fake = FakeGithub()
    fake.add_organization("acme", 1)
    for number in range(many):
        fake.repositories["acme"].append(f"r{number}")
        fake.add_key(f"acme/r{number}", number)
        selection = "subset" if number % SUBSETS == 0 else "all"
        fake.add_token("acme", number, repository_selection=selection)
    return fake.server(latency=latency)


def gcp(many: int, latency: float) -> LoopbackServer:
    fake = FakeGcp(page_size=200)
    fake.policies["organizations/55"] = []
    for number in range(many):
        fake.add_project(f"p{number}", parent=f"folders/{number % 20}")
        email = fake.add_account(f"p{number}", "ci")
        fake.add_key(email, f"k{number}")
        fake.add_activity(email, f"k{number}", "2026-02-18T07:00:00Z")
    for number in range(20):
        fake.parents[f"folders/{number}"] = "organizations/55"
        fake.policies[f"folders/{number}"] = []
    return fake.server(latency=latency)


def entra(many: int, latency: float) -> LoopbackServer:
    fake = FakeEntra(page_size=999)
    for number in range(many):
        fake.add_application(f"a{number}", passwordCredentials=[secret(f"s{number}")])
        fake.assign(f"a{number}", "Mail.Read")
    return fake.server(latency=latency)


FAKES = {"github": github, "gcp": gcp, "entra": entra}
OPENERS = {"github": open_github, "gcp": open_gcp, "entra": open_entra}


def opened(name: str, url: str, context: Context, **options: Any) -> Collector:
    address: Any = _Address(url)
    return OPENERS[name](address, context, requests_per_second=None, **options)


def read(name: str, many: int, latency: float, *, is_traced: bool = False) -> Cost:
    return measure(
        "benchmarks.clouds",
        [name, str(many)],
        partial(opened, name),
        latency,
        is_traced=is_traced,
    )


def main() -> None:
    for name in sys.argv[1:] or FAKES:
        cost = read(name, TIMED.get(name, MANY), LATENCY)
        few, many = (read(name, count, 0.0, is_traced=True).peak for count in (FEW, MANY))
        print(
            f"{name}: {cost.credentials} credentials, {cost}; peak {few / 1e6:.1f} MB at {FEW}, "
            f"{many / 1e6:.1f} MB at {MANY}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        key = {"private_key": APP_KEY} if sys.argv[2] == "github" else {}
        serve(FAKES[sys.argv[2]](int(sys.argv[3]), float(sys.argv[4])), **key)
    else:
        main()
