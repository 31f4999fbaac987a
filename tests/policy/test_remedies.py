"""Remedies: each kind of credential has commands of its own, and they exist as written."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from botocore import xform_name
from botocore.session import get_session

import auditor.collectors
from auditor.errors import PolicyError
from auditor.model import Credential, Principal, PrincipalType, Remediation
from auditor.policy import PolicySettings, catalogue, load
from auditor.policy.policy import Policy, Remedies
from auditor.policy.reading import read
from auditor.policy.remedy import Kind, providers_with_steps, remedy_for, steps_of, types_of
from auditor.policy.template import Template, argument
from auditor.resources import bundled

Build = Callable[..., Credential]
Write = Callable[..., Path]

BUILTIN = bundled("policies")
POLICIES = {policy.id: policy for policy in catalogue(BUILTIN)}
COLLECTORS = Path(auditor.collectors.__file__).parent
NAMED_ELSEWHERE = {
    "aws": {"Access Key"},
    "entra": {"SAML Signing Certificate"},
    "github": {"Classic Personal Access Token", "SSH Key", "OAuth Token", "App User Token"},
    "keycard": {"Client Secret", "Public Key"},
}
"""Types that stand in a constant or a table of the collector."""
SLOTS = {"aws": {"Access Key Slot", "Signing Certificate Slot"}}
"""What a credential report knows by its place only."""


def of(
    policy: Policy, provider: str, credential_type: str, *, is_root: bool = False
) -> Remediation:
    return remedy_for(policy, Kind(provider, credential_type, is_root))


def types_made(provider: str) -> set[str]:
    """Return the types that a collector gives its credentials, read from its source."""
    description = COLLECTORS / "descriptions" / f"{provider}.yaml"
    if description.exists():
        steps = yaml.safe_load(description.read_text())["steps"]
        return {step["credentials"]["type"] for step in steps if "credentials" in step}
    found = set(NAMED_ELSEWHERE.get(provider, ()))
    for path in (COLLECTORS / f"_{provider}").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "type":
                inner = (one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant))
                found |= {one for one in inner if isinstance(one, str) and one[:1].isupper()}
    return found


@pytest.mark.parametrize("provider", sorted(providers_with_steps()))
def test_every_kind_of_credential_can_be_revoked_and_rotated_in_its_own_way(provider: str) -> None:
    assert set(types_of(provider)) == types_made(provider) | SLOTS.get(provider, set())
    for action in ("revoke", "rotate"):
        remedies = steps_of(provider)[action]
        assert set(remedies.types) == set(types_of(provider)), action
        summaries = [one.summary for one in remedies.types.values()]
        assert all(one.endswith(".") for one in summaries)


def test_the_policies_about_age_and_idleness_use_the_steps() -> None:
    actions = {policy.id: policy.action for policy in POLICIES.values() if policy.action}
    assert actions == {
        "departed-owner": "revoke",
        "dormant-credential": "revoke",
        "dormant-privileged-credential": "revoke",
        "excessive-lifetime": "expire",
        "expired-credential": "revoke",
        "expiring-soon": "rotate",
        "legacy-credential-type": "rotate",
        "long-lived-credential": "rotate",
        "never-used-credential": "revoke",
        "no-expiry": "expire",
        "over-permissioned-credential": "narrow",
        "root-or-owner-key": "revoke",
        "stale-credential": "rotate",
        "unused-permissions": "narrow",
        "weak-key": "rotate",
    }


def test_types_named_by_a_built_in_policy_exist() -> None:
    for policy in POLICIES.values():
        for provider, remedies in policy.remedies.items():
            assert set(remedies.types) <= set(types_of(provider)), (policy.id, provider)


@pytest.mark.parametrize(
    ("credential_type", "commands"),
    [
        ("Access Key", ["get-access-key-last-used", "update-access-key", "delete-access-key"]),
        ("Console Password", ["get-login-profile", "delete-login-profile"]),
        ("SSH Key", ["update-ssh-public-key", "delete-ssh-public-key"]),
        ("Signing Certificate", ["update-signing-certificate", "delete-signing-certificate"]),
        ("API Key", ["update-service-specific-credential", "delete-service-specific-credential"]),
        (
            "Service-Specific Credential",
            ["update-service-specific-credential", "delete-service-specific-credential"],
        ),
    ],
)
def test_a_dormant_credential_of_aws_is_deleted_as_what_it_is(
    credential_type: str, commands: list[str]
) -> None:
    remedy = of(POLICIES["dormant-credential"], "aws", credential_type)
    assert [shlex.split(command)[2] for command in remedy.commands] == commands


def slot(provider: str, credential_type: str) -> Kind:
    return Kind(provider, credential_type, is_root=False, is_slot=True)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("credential_type", ["Access Key", "Signing Certificate"])
def test_what_a_report_knows_by_its_place_is_looked_up_before_it_is_ended(
    policy: Policy, credential_type: str
) -> None:
    commands = remedy_for(policy, slot("aws", credential_type)).commands
    assert not any("provider_id" in command for command in commands)
    listing = [number for number, one in enumerate(commands) if " list-" in one]
    naming = [number for number, one in enumerate(commands) if "KEY_ID" in one or "ATE_ID" in one]
    assert not naming or min(listing) < min(naming)


def test_a_key_in_a_report_gets_commands_that_name_its_user_and_no_id(credential: Build) -> None:
    policies = load(PolicySettings(), builtin=BUILTIN, directory=BUILTIN)
    facts = {"provider": "aws", "type": "Access Key"}
    user = Principal("arn:aws:iam::123456789012:user/svc", "svc", PrincipalType.USER)

    def commands(uid: str) -> tuple[str, ...]:
        found = credential(uid=uid, principal=user, **facts)
        return policies.explain("stale-credential", found, found.observed_at).remediation.commands

    assert commands("aws:123456789012:access_key_slot:svc/1")[0] == (
        "aws iam list-access-keys --user-name svc"
    )
    for name in ("AKIA1", "my_slot"):
        assert name in commands(f"aws:123456789012:access_key:{name}")[1]


def test_a_slot_without_steps_of_its_own_follows_its_type(write_policy: Write) -> None:
    remediation = "{summary: General., providers: {aws: {types: {Access Key: {summary: Own.}}}}}"
    policy = read(write_policy(remediation=remediation)).policy
    assert remedy_for(policy, slot("aws", "Access Key")).summary == "Own."


@pytest.mark.parametrize("policy_id", [one.id for one in POLICIES.values() if one.action])
def test_a_key_of_root_is_never_mended_by_commands_for_a_user(policy_id: str) -> None:
    remedy = of(POLICIES[policy_id], "aws", "Access Key", is_root=True)
    assert not any("--user-name" in one or "provider_id" in one for one in remedy.commands)


@pytest.mark.parametrize("credential_type", ["Deploy Key", "SSH Key", "App Installation"])
@pytest.mark.parametrize("policy_id", ["dormant-credential", "stale-credential"])
def test_what_is_no_token_of_github_is_not_called_one(policy_id: str, credential_type: str) -> None:
    remedy = of(POLICIES[policy_id], "github", credential_type)
    assert "token" not in remedy.summary.lower()
    assert not any("personal-access-tokens" in command for command in remedy.commands)


def test_a_policy_speaks_before_the_steps_and_the_closest_kind_first(write_policy: Write) -> None:
    policy = read(
        write_policy(
            remediation="{summary: General., action: revoke, providers: {"
            "aws: {types: {SSH Key: {summary: Own.}}, root: {commands: [x]}}, "
            "okta: {summary: Every., types: {API Token: {url: 'https://example.com'}}}}}"
        )
    ).policy
    assert of(policy, "aws", "SSH Key") == Remediation("Own.")
    assert of(policy, "aws", "SSH Key", is_root=True) == Remediation("General.", ("x",))
    assert of(policy, "aws", "Console Password").summary.startswith("Take the console password")
    assert of(policy, "aws", "Something Else") == Remediation("General.")
    assert of(policy, "okta", "Client Secret") == Remediation("Every.")
    assert of(policy, "okta", "API Token") == Remediation("General.", (), "https://example.com")
    assert of(policy, "gcp", "HMAC Key").summary.startswith("Deactivate the HMAC key")
    assert of(policy, "elsewhere", "HMAC Key") == Remediation("General.")


@pytest.mark.parametrize(
    ("remediation", "message"),
    [
        ("{summary: s, action: revok}",
         "action must be 'revoke', 'rotate', 'expire' or 'narrow'; did you mean 'revoke'?"),
        ("{summary: s, providers: {aws: {typs: {}}}}",
         "unknown key 'typs'; did you mean 'types'?"),
        ("{summary: s, providers: {aws: {types: {SSH Key: {comands: []}}}}}",
         "unknown key 'comands'; did you mean 'commands'?"),
        ("{summary: s, providers: {aws: {types: {Console Pasword: {summary: t}}}}}",
         "'Console Pasword'; did you mean 'Console Password'?"),
        ("{summary: s, providers: {aws: {types: {SSH Key: {summary: '{{ credential.nmae }}'}}}}}",
         "resting.yaml:9:76: unknown credential.nmae; did you mean 'name'?"),
        ("{summary: s, providers: {aws: {root: {commands: [\"x '{{ credential.name }}'\"]}}}}",
         "stands inside quotes; values are quoted already"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_remedy_is_named(
    write_policy: Write, remediation: str, message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        read(write_policy(remediation=remediation))
    assert message in str(caught.value)


def test_a_type_that_nobody_knows_is_taken_as_it_is(write_policy: Write) -> None:
    remediation = "{summary: s, providers: {aws: {types: {Badge: {summary: t}}}}}"
    assert of(read(write_policy(remediation=remediation)).policy, "aws", "Badge").summary == "t"


def test_a_finding_gets_the_commands_of_its_kind(credential: Build) -> None:
    policies = load(PolicySettings(), builtin=BUILTIN, directory=BUILTIN)

    def commands(**facts: object) -> tuple[str, ...]:
        found = credential(provider="kubernetes", type="Service Account Token", **facts)
        return policies.explain("stale-credential", found, found.observed_at).remediation.commands

    assert commands(name="robot", tags={"namespace": "data"}) == (
        "kubectl delete secret robot --namespace data",
    )
    assert commands(name="robot", tags={}) == (
        "kubectl delete secret robot --namespace '<tags.namespace>'",
    )


def remedies_of(remedies: Remedies) -> Iterator[Remediation]:
    yield from (one for one in (remedies.every, remedies.root) if one is not None)
    yield from remedies.types.values()


def every_remedy() -> Iterator[tuple[str, Policy, Remediation]]:
    """Yield every remedy with its provider and a policy under which it may be shown."""
    for policy in POLICIES.values():
        for provider, remedies in policy.remedies.items():
            yield from ((provider, policy, one) for one in remedies_of(remedies))
    for provider in sorted(providers_with_steps()):
        for steps in steps_of(provider).values():
            for one in remedies_of(steps):
                yield provider, POLICIES["dormant-credential"], one


def rendered(value: str) -> set[tuple[str, ...]]:
    """Return every command as words, with *value* for each fact."""
    found = set()
    for _provider, policy, remedy in every_remedy():
        Template(remedy.summary, policy.parameters)
        for command in remedy.commands:
            template = Template(command, policy.parameters)
            template.check_command()
            said = "".join(
                one if isinstance(one, str) else argument(value, one) for one in template.parts
            )
            found.add(tuple(shlex.split(said)))
    return found


COMMANDS = sorted(rendered("FACT"))


def test_a_hostile_fact_stays_one_word_of_every_command() -> None:
    hostile = "a'b $(touch x) \"; rm -rf ~ #\n"
    assert sorted(map(len, rendered(hostile))) == sorted(map(len, COMMANDS))


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if one[0] == "aws"], ids=lambda one: "-".join(one[1:3])
)
def test_a_command_of_aws_is_one_of_its_service_model(command: tuple[str, ...]) -> None:
    _, service, name, *rest = command
    model = get_session().get_service_model(service)
    operations = {xform_name(one, "-"): one for one in model.operation_names}
    shape = model.operation_model(operations[name]).input_shape
    members = {xform_name(one, "-"): one for one in shape.members} if shape else {}
    given = set()
    while rest:
        option = rest.pop(0).removeprefix("--")
        if option == "query":  # the command line's own
            rest.pop(0)
            continue
        given.add(members[option])
        member = shape.members[members[option]]
        if member.type_name == "boolean":
            continue
        value = rest.pop(0)
        assert not value.startswith("--"), command
        if member.type_name == "string" and member.enum:
            assert value in member.enum, command
        for part in re.findall(r"(\w+)=", value):
            inner = member.member if member.type_name == "list" else member
            assert part in inner.members, command
    assert given >= set(shape.required_members if shape else ()), command


API = re.compile(r"https://[A-Za-z.]+(/.*)")
CALLS = {
    "gh": {
        "GET /orgs/_/personal-access-tokens",
        "POST /orgs/_/personal-access-tokens",
        "GET /orgs/_/credential-authorizations",
        "DELETE /orgs/_/credential-authorizations/_",
        "GET /orgs/_/installations",
        "GET /orgs/_/members",
    },
    "glab": {
        *("DELETE personal_access_tokens/_", "POST personal_access_tokens/_/rotate"),
        *("DELETE groups/_/access_tokens/_", "POST groups/_/access_tokens/_/rotate"),
        *("DELETE projects/_/access_tokens/_", "POST projects/_/access_tokens/_/rotate"),
        *("DELETE projects/_/deploy_tokens/_", "POST projects/_/deploy_tokens"),
        *("DELETE projects/_/deploy_keys/_", "POST projects/_/deploy_keys"),
        "GET projects/_/deploy_keys",
    },
    "curl": {
        "POST /organizations/_/service-accounts/_/credentials",
        "DELETE /organizations/_/service-accounts/_/credentials/_",
        "DELETE /api/v1/api-tokens/_",
        *("GET /api/v1/apps/_/grants", "DELETE /api/v1/apps/_/grants/_"),
        *(
            call
            for kind in ("secrets", "jwks")
            for call in (
                f"POST /api/v1/apps/_/credentials/{kind}",
                f"POST /api/v1/apps/_/credentials/{kind}/_/lifecycle/deactivate",
                f"DELETE /api/v1/apps/_/credentials/{kind}/_",
            )
        ),
    },
}
"""Calls of the vendors' API references that remedies send; ``_`` is an id."""


def call_of(command: tuple[str, ...]) -> str:
    """Return method and path of a command that calls an API."""
    words = list(command[1:] if command[0] == "curl" else command[2:])
    method, path = "GET", ""
    while words:
        word = words.pop(0)
        if word in ("-X", "--method"):
            method = words.pop(0)
        elif word in ("-H", "-f", "-F", "--json", "--jq"):
            words.pop(0)
        else:
            assert not word.startswith("-"), command
            path = word
    found = API.fullmatch(path)
    return f"{method} {re.sub(r'[A-Z][A-Z_]+', '_', found[1] if found else path)}"


@pytest.mark.parametrize(
    "command",
    [one for one in COMMANDS if one[0] == "curl" or one[1:2] == ("api",)],
    ids=lambda one: re.sub(r"\W+", "-", " ".join(one))[:80],
)
def test_a_call_of_an_api_is_one_of_its_reference(command: tuple[str, ...]) -> None:
    assert call_of(command) in CALLS[command[0]]


KEY = {"--iam-account"}
GRANT = {"--member", "--role"}
KNOWN: dict[str, tuple[int, set[str]]] = {
    "auditor credentials show": (1, {"--refresh"}),
    "ssh-keygen": (0, {"-t", "-b", "-f"}),
    "gh ssh-key add": (1, {"--title"}),
    "gh repo deploy-key add": (1, {"--repo", "--title"}),
    "gh repo deploy-key delete": (1, {"--repo"}),
    "gcloud iam service-accounts keys create": (1, KEY),
    "gcloud iam service-accounts keys disable": (1, KEY),
    "gcloud iam service-accounts keys delete": (1, KEY),
    "gcloud iam service-accounts update": (1, {"--description"}),
    "gcloud projects add-iam-policy-binding": (1, GRANT),
    "gcloud projects remove-iam-policy-binding": (1, GRANT),
    "gcloud alpha projects update": (1, {"--update-labels"}),
    "gcloud services api-keys create": (0, {"--display-name", "--api-target", "--project"}),
    "gcloud services api-keys update": (1, {"--api-target", "--allowed-ips", "--project"}),
    "gcloud services api-keys delete": (1, {"--project"}),
    "gcloud storage hmac create": (1, {"--project"}),
    "gcloud storage hmac update": (1, {"--deactivate", "--project"}),
    "gcloud storage hmac delete": (1, {"--project"}),
    "gcloud recommender recommendations list": (0, {"--project", "--location", "--recommender"}),
    "az ad app credential delete": (0, {"--id", "--key-id", "--cert"}),
    "az ad app credential reset": (0, {"--id", "--append", "--end-date", "--cert"}),
    "az ad sp credential delete": (0, {"--id", "--key-id", "--cert"}),
    "az ad app federated-credential create": (0, {"--id", "--parameters"}),
    "az ad app federated-credential delete": (0, {"--id", "--federated-credential-id"}),
    "az ad app federated-credential show": (0, {"--id", "--federated-credential-id"}),
    "az ad app owner add": (0, {"--id", "--owner-object-id"}),
    "az ad app permission list": (0, {"--id"}),
    "az ad app permission delete": (0, {"--id", "--api"}),
    "kubectl describe secret": (1, {"--namespace"}),
    "kubectl delete secret": (1, {"--namespace"}),
    "kubectl delete clusterrolebinding": (1, set()),
    "kubectl get": (1, {"--all-namespaces", "-o"}),
    "databricks token-management delete": (1, set()),
    "databricks token-management get": (1, set()),
    "databricks service-principals get": (1, set()),
    "databricks service-principal-secrets-proxy create": (1, {"--lifetime"}),
    "databricks service-principal-secrets-proxy delete": (2, set()),
    "vault list": (1, set()),
    "vault write": (1, {"-force"}),
    "vault token lookup": (0, {"-accessor"}),
    "vault token revoke": (0, {"-accessor"}),
    "vault token create": (0, {"-policy", "-ttl", "-explicit-max-ttl", "-role"}),
}
"""Commands of the vendors' references: how many words they take, and those options we use."""
SWITCHES = {"--refresh", "--deactivate", "--append", "--all-namespaces", "-force"}


@pytest.mark.parametrize(
    "command",
    [one for one in COMMANDS if one[0] not in ("aws", "curl") and one[1:2] != ("api",)],
    ids=lambda one: re.sub(r"\W+", "-", " ".join(one))[:80],
)
def test_a_command_has_the_words_and_options_of_its_reference(command: tuple[str, ...]) -> None:
    line = " ".join(command)
    name = max((one for one in KNOWN if line.startswith(f"{one} ")), key=len, default="")
    assert name, f"{line}: look it up in the vendor's reference and add it here"
    words, options = KNOWN[name]
    rest, count = list(command[len(name.split()) :]), 0
    while rest:
        word, _, value = rest.pop(0).partition("=")
        if not word.startswith("-"):
            count += not (name == "vault write" and value)  # its parameters are name=value
            continue
        assert word in options, line
        is_switch = word in SWITCHES or (word == "--cert" and "delete" in name)
        if not is_switch and not value and (rest and not word.startswith("-accessor=")):
            rest.pop(0)
    assert count == words, line


def test_a_type_may_be_one_of_root(credential: Build) -> None:
    policies = load(PolicySettings(), builtin=BUILTIN, directory=BUILTIN)
    root = Principal("root", "<root_account>", PrincipalType.USER, is_root=True)
    found = credential(provider="aws", type="Access Key", principal=root)
    remedy = policies.explain("root-or-owner-key", found, found.observed_at).remediation
    assert remedy.commands[-1] == "aws iam delete-access-key --access-key-id KEY_ID"
