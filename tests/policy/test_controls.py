"""The catalogue of controls: ids are text, titles are ours, every built-in mapping is in it."""

import re

import pytest
import yaml

from auditor.errors import ConfigError
from auditor.policy import controls
from auditor.policy.controls import control_title, framework, framework_keys
from auditor.resources import bundled

CERTAINTIES = ("high", "medium", "low")
NUMBERED = re.compile(r"[0-9]+(\.[0-9]+)+")
FORMS = {
    "aws-security-hub": re.compile(r"(IAM|SecretsManager)\.[0-9]+"),
    "cis-": NUMBERED,
    "essential-eight": re.compile(r"ML[123]"),
    "hipaa-security-rule": re.compile(r"164\.3[0-9]{2}(\([a-zA-Z0-9]+\))+"),
    "iso-27001-2022": re.compile(r"A\.[5-8]\.[0-9]{1,2}"),
    "nist-800-53-r5": re.compile(r"[A-Z]{2}-[0-9]+(\([0-9]+\)|\([a-z]\))?"),
    "nist-csf-2.0": re.compile(r"(GV|ID|PR|DE|RS|RC)\.[A-Z]{2}-\d{2}"),
    "owasp-nhi-2025": re.compile(r"NHI([1-9]|10)"),
    "pci-dss-4.0.1": NUMBERED,
    "soc2-2017": re.compile(r"(CC[1-9]|A1)\.[0-9]"),
}


def mappings() -> list[tuple[str, str, object, str]]:
    """Return (policy, framework, control id, certainty) as the policy files hold them."""
    found = []
    for path in sorted(bundled("policies").glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, entries in data.get("controls", {}).items():
            for entry in entries:
                control = entry if isinstance(entry, dict) else {"id": entry}
                certainty = control.get("certainty", "high")
                found.append((path.stem, key, control["id"], certainty))
    return found


@pytest.mark.parametrize("key", framework_keys())
def test_every_framework_is_named_by_key_title_and_version(key: str) -> None:
    found = framework(key)
    assert found.title
    assert found.controls
    assert found.version == "current" or key.endswith(found.version)


@pytest.mark.parametrize("key", framework_keys())
def test_every_id_has_the_form_of_its_framework_and_a_short_title(key: str) -> None:
    (form,) = [form for start, form in FORMS.items() if key.startswith(start)]
    for control_id, title in framework(key).controls.items():
        assert form.fullmatch(control_id), control_id
        assert 10 < len(title) < 100, title
        assert not title.endswith("."), title


def test_every_id_in_a_policy_is_text_so_that_1_10_stays_1_10() -> None:
    for policy, key, control_id, _ in mappings():
        assert isinstance(control_id, str), (policy, key, control_id)


def test_every_mapping_of_a_built_in_policy_is_in_the_catalogue() -> None:
    for policy, key, control_id, certainty in mappings():
        assert control_title(key, str(control_id)), (policy, key, control_id)
        assert certainty in CERTAINTIES, (policy, key, control_id)


def test_every_control_of_the_catalogue_is_mapped_by_a_policy() -> None:
    mapped = {(key, control_id) for _, key, control_id, _ in mappings()}
    for key in framework_keys():
        for control_id in framework(key).controls:
            assert (key, control_id) in mapped, (key, control_id)


def test_no_policy_maps_twice_to_one_control() -> None:
    pairs = [(policy, key, control_id) for policy, key, control_id, _ in mappings()]
    assert len(pairs) == len(set(pairs))


def test_an_unknown_framework_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no framework 'cis-aws-9\.0'.*cis-aws-5\.0"):
        framework("cis-aws-9.0")


def test_frameworks_of_users_have_no_titles() -> None:
    assert control_title("our-own-rules", "1") is None
    assert control_title("cis-aws-5.0", "99.9") is None
    assert control_title("cis-aws-5.0", "1.11") is not None


def test_a_framework_of_one_provider_speaks_about_its_credentials_only() -> None:
    assert framework("cis-aws-5.0").covers("aws")
    assert not framework("cis-aws-5.0").covers("keycard")
    assert framework("nist-800-53-r5").covers("keycard")


def test_nothing_in_the_catalogue_claims_compliance() -> None:
    for path in controls._FOLDER.glob("*.yaml"):
        assert "compl" not in path.read_text(encoding="utf-8").lower(), path.name
