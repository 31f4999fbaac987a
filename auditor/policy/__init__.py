"""Policies: the condition language, the policy files, evaluation and privilege."""

from auditor.model import Outcome, Verdict
from auditor.policy.evaluate import PolicySet
from auditor.policy.examples import run_examples
from auditor.policy.language.derived import ALONE, Neighbours
from auditor.policy.language.fields import NEIGHBOURS
from auditor.policy.loading import Preset, catalogue, load, load_with_catalogue, presets
from auditor.policy.match import Match
from auditor.policy.policy import (
    Control,
    ExampleResult,
    Explanation,
    Parameter,
    Policy,
    Tier,
)
from auditor.policy.privilege import classify
from auditor.policy.settings import Override, PolicySettings

__all__ = [
    "ALONE",
    "NEIGHBOURS",
    "Control",
    "ExampleResult",
    "Explanation",
    "Match",
    "Neighbours",
    "Outcome",
    "Override",
    "Parameter",
    "Policy",
    "PolicySet",
    "PolicySettings",
    "Preset",
    "Tier",
    "Verdict",
    "catalogue",
    "classify",
    "load",
    "load_with_catalogue",
    "presets",
    "run_examples",
]
