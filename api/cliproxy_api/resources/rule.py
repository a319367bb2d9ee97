"""A rule across fields: where it stands, its sentence, and the predicate; and the rules that kinds share.

Each one is also a CEL rule at the same place in `crds/` with the same sentence; a test compares the two and
judges one corpus of objects by both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cliproxy_api.resources.common import LabelRequirement, is_label_key
from cliproxy_api.vocabulary import SelectorOperator


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold for the value at `at`."""

    at: str
    """`spec.models[].pricing`: `[]` stands for every entry of a list, `{}` for every value of a map."""
    message: str
    """What must be so; also the CEL rule's message."""
    holds: Callable[[Any], bool]
    """Given the typed value at `at`; not asked where there is none."""
    field: str = ""
    """The field at fault below `at`, for the path in messages."""


def all_keys(pattern: str) -> Callable[[dict[str, Any]], bool]:
    """Return whether every key of a map matches, letter by letter from start to end."""
    matches = re.compile(pattern, re.ASCII).fullmatch
    return lambda entries: all(matches(key) for key in entries)


def selector_rules(at: str) -> tuple[Rule, ...]:
    """Return the rules of a label selector that stands at `at`."""
    return (
        Rule(
            f"{at}.matchLabels",
            "keys must be label keys such as team or example.com/team",
            lambda labels: all(is_label_key(key) for key in labels),
        ),
        Rule(
            f"{at}.matchExpressions[]",
            "values must be given for In and NotIn, and left out for Exists and DoesNotExist",
            _has_fitting_values,
            field="values",
        ),
    )


def limit_rule(at: str) -> Rule:
    """Return the rule of a rate limit that stands at `at`: an empty one is a mistake, not a limit of none."""
    return Rule(
        at,
        "requestsPerMinute, tokensPerMinute or maxConcurrent must be set",
        lambda limit: any(
            one is not None
            for one in (limit.requests_per_minute, limit.tokens_per_minute, limit.max_concurrent)
        ),
    )


def _has_fitting_values(requirement: LabelRequirement) -> bool:
    wants_values = requirement.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
    return bool(requirement.values) == wants_values
