"""The form of a rule about an error answer, and what each outcome class entails.

The rules themselves are data in `signals`; weighing them is left to `outcome`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cliproxy_api.vocabulary import OutcomeClass, ProviderType, ScopeKind


class Retry(StrEnum):
    """Who may be asked next for the same request."""

    NONE = "none"
    """Nobody: another answer is not to be expected anywhere."""
    SAME = "same"
    """The same provider once more, after a short wait; then another."""
    FAILOVER = "failover"
    """Another target, never this one."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One way a provider says something. All given conditions on status and type must hold, and one match."""

    cls: OutcomeClass
    says: str
    """One line for people; ours, since providers' messages may quote keys and prompts."""
    source: str
    words: frozenset[str] = frozenset()
    """Codes, types and reasons in the body, lower case."""
    opens: tuple[str, ...] = ()
    """Beginnings of the message, lower case."""
    contains: tuple[str, ...] = ()
    """Parts of the message, lower case; for classes that cool nothing, or statuses that echo nothing."""
    pattern: re.Pattern[str] | None = None
    """As `contains`, on the lower-case message."""
    statuses: frozenset[int] | None = None
    """None: any status, also none at all (an error event inside a stream)."""
    types: frozenset[ProviderType] | None = None
    anything: bool = False
    """The status alone is enough."""
    retry: Retry | None = None
    """Other than the class's own."""

    def fits(
        self, provider_type: ProviderType, status: int | None, words: tuple[str, ...], message: str
    ) -> bool:
        """Whether an error with these codes and this lower-case message is what the rule describes."""
        if self.statuses is not None and status not in self.statuses:
            return False
        if self.types is not None and provider_type not in self.types:
            return False
        return (
            self.anything
            or not self.words.isdisjoint(words)
            or message.startswith(self.opens)
            or any(part in message for part in self.contains)
            or (self.pattern is not None and self.pattern.search(message) is not None)
        )


SCOPES: Final[dict[OutcomeClass, ScopeKind]] = {
    OutcomeClass.RATE_LIMITED: ScopeKind.CREDENTIAL_MODEL,
    OutcomeClass.RAMP: ScopeKind.CREDENTIAL_MODEL,
    OutcomeClass.QUOTA_LONG: ScopeKind.CREDENTIAL,
    OutcomeClass.QUOTA_MONEY: ScopeKind.CREDENTIAL,
    OutcomeClass.OVERLOADED: ScopeKind.MODEL,
    OutcomeClass.SERVER_ERROR: ScopeKind.MODEL,
    OutcomeClass.AUTH: ScopeKind.CREDENTIAL,
    OutcomeClass.CONFIG: ScopeKind.MODEL,
    OutcomeClass.STREAM_ERROR: ScopeKind.MODEL,
}
"""What each class takes out of use; a class that is missing belongs to the request and cools nothing."""

RETRIES: Final[dict[OutcomeClass, Retry]] = {
    OutcomeClass.RATE_LIMITED: Retry.FAILOVER,
    OutcomeClass.RAMP: Retry.FAILOVER,
    OutcomeClass.QUOTA_LONG: Retry.FAILOVER,
    OutcomeClass.QUOTA_MONEY: Retry.FAILOVER,
    OutcomeClass.OVERLOADED: Retry.SAME,
    OutcomeClass.SERVER_ERROR: Retry.SAME,
    OutcomeClass.AUTH: Retry.FAILOVER,
    OutcomeClass.CONFIG: Retry.FAILOVER,
    OutcomeClass.STREAM_ERROR: Retry.FAILOVER,
    # Another provider may take what this one finds too big; the same one never will.
    OutcomeClass.TOO_BIG: Retry.FAILOVER,
}
"""Who may be asked next; a class that is missing allows nobody."""
