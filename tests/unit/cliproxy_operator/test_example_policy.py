"""examples/cooldownpolicy.yaml says of its values that they are the built-in ones: they are."""

from pathlib import Path

import yaml

from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.parse import parse_as
from cliproxy_api.snapshot import CooldownRules
from cliproxy_operator.compile_policy import cooldown_rules

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "cooldownpolicy.yaml"


def test_the_example_spells_out_the_built_in_rules() -> None:
    text = EXAMPLE.read_text("utf-8")
    raw = yaml.safe_load(text)
    for name in ("default", "classOverrides"):
        assert f"`{name}`" in text, "named as what differs"
        del raw["spec"][name]
    raw["metadata"]["namespace"] = "team-a"

    policy = parse_as(CooldownPolicy, raw)

    assert isinstance(policy, CooldownPolicy), policy
    assert cooldown_rules(policy.spec) == CooldownRules()
