"""What is deployed is hardened, and names things that exist."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from packaging.requirements import Requirement
from sqlalchemy import make_url

from auditor.cli import cli
from auditor.cli.daemon import daemon
from auditor.config import Config, DaemonSettings, load_config
from auditor.daemon import DaemonState
from auditor.health import _Figures, routes
from auditor.serving import WebSettings
from auditor.status import gather
from auditor.store import Store
from tests.house import NOW, House, key

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = DEPLOY / "systemd" / "auditor.service"


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names under which figures really appear."""
    house = House(tmp_path_factory.mktemp("house"))
    house.extra = "schedules: [{name: nightly, daily: '03:00'}]"
    house.export(key(1))
    house.audit()
    config = house.config()
    with Store.open(config.database_url) as store:
        state = DaemonState(True, NOW, (), None)
        families = list(_Figures(lambda: gather(store, config, NOW), lambda: state).collect())
    return {
        f"{family.name}_total" if family.type == "counter" else family.name for family in families
    }


def named(expression: str) -> set[str]:
    return set(re.findall(r"\bauditor_\w+", expression))


def test_every_alert_is_about_a_metric_that_exists(metrics: set[str]):
    (groups,) = documents("prometheus/alerts.yaml")
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    assert len(rules) >= 8
    for rule in rules:
        assert named(rule["expr"]) <= metrics, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= rule["annotations"].keys()


def test_every_panel_shows_a_metric_that_exists(metrics: set[str]):
    board = json.loads((DEPLOY / "grafana" / "auditor.json").read_text())
    shown = set()
    places = []
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert named(target["expr"]), panel["title"]
            shown |= named(target["expr"])
        at = panel["gridPos"]
        places += [
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
    assert shown <= metrics
    assert len(places) == len(set(places))
    assert {x for x, _ in places} == set(range(24))


def test_every_alert_is_explained_in_the_manual():
    manual = (ROOT / "docs" / "operations.md").read_text()
    (groups,) = documents("prometheus/alerts.yaml")
    for group in groups["groups"]:
        for rule in group["rules"]:
            assert f"`{rule['alert']}`" in manual


@pytest.mark.parametrize("name", ["cronjob", "deployment"])
def test_pods_are_locked_down(name: str):
    workload = documents(f"kubernetes/{name}.yaml")[0]
    spec = workload["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if name == "cronjob" else spec["template"]
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert pod["terminationGracePeriodSeconds"] > 30


@pytest.mark.parametrize("name", ["cronjob", "deployment"])
def test_kubernetes_would_accept_every_field(name: str):
    for document in documents(f"kubernetes/{name}.yaml"):
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_the_cron_job_runs_what_is_due_and_never_beside_itself():
    (job,) = documents("kubernetes/cronjob.yaml")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["daemon", "--once"]


def test_probes_and_selectors_fit():
    deployment, service, claim = documents("kubernetes/deployment.yaml")
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    ports = {port["name"] for port in container["ports"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in template["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == [claim["metadata"]["name"]]


def test_the_compose_file_keeps_the_auditor_in_its_place():
    (compose,) = documents("compose.yaml")
    auditor = compose["services"]["auditor"]
    assert auditor["read_only"] is True
    assert auditor["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in auditor["security_opt"]
    assert auditor["ports"] == ["127.0.0.1:8080:8080"]
    assert (DEPLOY / auditor["build"]["context"] / auditor["build"]["dockerfile"]).is_file()
    for service in compose["services"].values():
        assert set(service["secrets"]) <= compose["secrets"].keys()
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"]


@pytest.mark.parametrize("path", ["compose.yaml", "kubernetes/deployment.yaml"])
def test_the_configuration_in_the_head_of_a_file_is_one(path: str, tmp_path: Path):
    head = (DEPLOY / path).read_text().split("\nname:")[0].split("\napiVersion:")[0]
    lines = re.findall(r"^#   (\w+: \{.*)$", head, re.MULTILINE)
    assert lines
    config = tmp_path / "config.yaml"
    config.write_text("sources: [{name: a, provider: file, path: a.json}]\n" + "\n".join(lines))
    assert load_config(config).layout.web is not None


def said_in_head(path: str, tmp_path: Path) -> Config:
    """The configuration that the head of a file tells to write, where it would lie."""
    head = (DEPLOY / path).read_text().split("\nname:")[0].split("\napiVersion:")[0]
    config = tmp_path / "config.yaml"
    lines = ["sources: [{name: a, provider: file, path: a.json}]"]
    lines += re.findall(r"^#   (\w+: \{.*)$", head, re.MULTILINE)
    config.write_text("\n".join(lines).replace("/run/secrets", str(tmp_path / "secrets")))
    return load_config(config)


def test_the_secrets_of_the_compose_file_reach_the_database_and_the_web_view(tmp_path: Path):
    (compose,) = documents("compose.yaml")
    (tmp_path / "secrets").mkdir()
    for name in compose["services"]["auditor"]["secrets"]:
        secret = tmp_path / "secrets" / name
        secret.write_text(f"p@ss:w/rd for the {name}\n")
        secret.chmod(0o600)
    config = said_in_head("compose.yaml", tmp_path)
    url = make_url(config.database_url)
    environment = compose["services"]["database"]["environment"]

    assert url.password == "p@ss:w/rd for the database"
    assert url.host in compose["services"]
    assert (url.username, url.database) == (
        environment["POSTGRES_USER"],
        environment["POSTGRES_DB"],
    )
    assert environment["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database"
    assert config.layout.web is not None
    assert config.layout.web.secret(tmp_path) == "p@ss:w/rd for the web"
    assert mounted_at("/var/lib/auditor", compose["services"]["auditor"]["volumes"])
    assert config.report_directory.is_relative_to("/var/lib/auditor")


def mounted_at(folder: str, volumes: list[str]) -> bool:
    return any(volume.split(":")[1] == folder for volume in volumes)


def containers() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each workload's pod and container."""
    (job,) = documents("kubernetes/cronjob.yaml")
    pods = {
        "cronjob": job["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "deployment": documents("kubernetes/deployment.yaml")[0]["spec"]["template"]["spec"],
    }
    return {name: (pod, pod["containers"][0]) for name, pod in pods.items()}


@pytest.mark.parametrize("name", ["cronjob", "deployment"])
def test_the_program_takes_what_pods_give_it(name: str):
    pod, container = containers()[name]
    entry = json.loads(re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]
    shown = CliRunner().invoke(cli, [*entry[1:], *container["args"], "--help"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    image = dict(re.findall(r"^(?:ENV)? +(\w+)=(\S+)", DOCKERFILE, re.MULTILINE))

    assert (entry[0], shown.exit_code) == ("auditor", 0)
    assert str(Path(image["AUDITOR_CONFIG"]).parent) in mounts
    assert re.search(r"^WORKDIR (.+)$", DOCKERFILE.rsplit("FROM", 1)[1], re.MULTILINE)[1] in mounts  # type: ignore[index]
    assert "/tmp" in mounts  # noqa: S108 - the only other place that may be written
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in DOCKERFILE
    assert pod["terminationGracePeriodSeconds"] > DaemonSettings().grace.total_seconds()


def test_the_image_says_where_the_program_looks():
    parameters = {one.name: one for one in daemon.params}

    assert "AUDITOR_CONFIG" in (parameters["config_path"].envvar or ())
    assert f"EXPOSE {WebSettings().port}\n" in DOCKERFILE


def test_probes_ask_for_what_is_answered(tmp_path: Path):
    _pod, container = containers()["deployment"]
    (compose,) = documents("compose.yaml")
    state = DaemonState(True, NOW, (), None)
    with Store.open(f"sqlite:///{tmp_path / 'auditor.db'}") as store:
        config = said_in_head("kubernetes/deployment.yaml", tmp_path)
        answered = {
            getattr(route, "path", "")
            for route in routes(lambda: gather(store, config, NOW), lambda: state)
        }
    asked = {container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    port = WebSettings().port
    health = " ".join(compose["services"]["auditor"]["healthcheck"]["test"])
    asked |= set(re.findall(rf"http://127.0.0.1:{port}(/\w+)", health))

    assert asked == {"/healthz", "/readyz"}
    assert asked <= answered
    assert {one["containerPort"] for one in container["ports"]} == {port}


def test_the_image_is_built_in_stages_and_runs_as_nobody_in_particular():
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "\nUSER 10001:10001\n" in final
    assert "pip" not in final
    assert "ADD " not in DOCKERFILE
    assert not re.search(r"(TOKEN|PASSWORD|SECRET)", DOCKERFILE)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path


def test_nothing_but_what_is_copied_reaches_the_builder():
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = {path.removeprefix("./") for line in copied for path in line.split()}

    assert kept[1] == "*"
    assert {re.sub(r"requirements.*", "requirements*.lock", name) for name in names} == {
        line[1:] for line in kept if line.startswith("!")
    }


def test_the_constraints_of_the_image_are_read_by_pip():
    script = re.search(r"RUN sed -E '(.+)' requirements-dev.lock", DOCKERFILE)
    assert script
    lines = subprocess.run(
        ["sed", "-E", script[1], ROOT / "requirements-dev.lock"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    pinned = {Requirement(line).name.lower() for line in lines if line.strip()}
    assert {"starlette", "uvicorn", "prometheus-client", "psycopg-binary", "botocore"} <= pinned


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    copy = tmp_path / "auditor.service"
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+.*$", "ExecStart=/bin/true", UNIT.read_text()))
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None and os.environ.get("AUDITOR_REQUIRE_SYSTEMD") != "1":
        pytest.skip("systemd-analyze is not installed; `apt-get install systemd`")
    assert program, "install systemd: `apt-get install systemd`"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.systemd
def test_systemd_understands_every_line_of_the_unit(unit: Path):
    found = analyze("verify", "--man=no", unit)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.systemd
def test_systemd_finds_the_unit_hardened(unit: Path):
    found = analyze("security", "--offline=true", "--no-pager", "--threshold=20", unit)
    assert found.returncode == 0, found.stdout


def test_the_unit_waits_longer_than_the_daemon_drains_and_writes_only_its_own_folder():
    text = UNIT.read_text()
    assert "Type=notify" in text
    assert "Restart=always" in text
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text
    stop = re.search(r"TimeoutStopSec=(\d+)s", text)
    assert stop
    assert int(stop[1]) > 30 + 5
    assert "ReadWritePaths" not in text
    assert "StateDirectory=auditor" in text
