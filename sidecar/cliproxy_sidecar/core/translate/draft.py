"""A request in the making, and the rules by which its fields get into it.

A direction's fields are a table of name to rule; what the rules say of particular fields stands beside the
tables, in `to_messages_request`, `to_chat_request` and `responses_request`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.fields import Object, TranslationError


@dataclass(frozen=True, slots=True)
class Destination:
    """For whom a request is written: types of providers and generations of models differ in small ways."""

    provider_type: ProviderType
    model: str
    """Its name at the provider."""
    native: bool = False
    """Gemini's own API, not the OpenAI-compatible one."""
    base_url: str = ""


@dataclass(slots=True)
class Draft:
    """What has been written so far."""

    source: Object
    destination: Destination
    body: Object = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    """Fields without an equal that only say how to serve; ordered, each once."""

    def leave_out(self, name: str) -> None:
        """Note that a field is not passed on."""
        self.left_out[name] = None


Rule = Callable[[Draft, Any], None]
"""Puts one field's value (never null) into the draft.

Raises:
    TranslationError: the value has no equal.

"""


def write(draft: Draft, rules: Mapping[str, Rule]) -> None:
    """Apply the rules to all fields of the source; null means absent, an unknown field passes as it is."""
    for name, value in draft.source.items():
        if value is None:
            continue
        rule = rules.get(name)
        if rule is None:
            draft.body[name] = value
        else:
            rule(draft, value)


def renamed(name: str, take: Callable[[object, str], Any], source: str) -> Rule:
    """Return the rule that keeps a value under another name."""

    def rule(draft: Draft, value: Any) -> None:
        draft.body[name] = take(value, source)

    return rule


def hint(name: str) -> Rule:
    """Return the rule for what only says how to serve."""

    def rule(draft: Draft, _: Any) -> None:
        draft.leave_out(name)

    return rule


def elsewhere(_: Draft, __: Any) -> None:
    """Do nothing: another field's rule, or the end of the work, looks at this one."""


def only(name: str, neutral: Collection[object], why: str) -> Rule:
    """Return the rule for what has no equal: its neutral values say nothing, all others are refused."""

    def rule(_: Draft, value: Any) -> None:
        if not any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in neutral):
            raise TranslationError(name, why)

    return rule
