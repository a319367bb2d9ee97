"""LLMProvider's status: conditions, phase, cooldowns, health, traffic, sidecars.

The one word and its reason are `phase`'s, numbers are `figures`'.
"""

from datetime import datetime

from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_operator.validate import Diagnostic
from cliproxy_operator.view import ProviderView


def merge_provider_status(
    previous: LLMProviderStatus | None,
    *,
    generation: int,
    enabled: bool,
    diagnostics: tuple[Diagnostic, ...],
    view: ProviderView,
    now_utc: datetime,
) -> LLMProviderStatus:
    """Return a provider's status.

    `previous` gives `lastTransitionTime`s, keeps figures that have hardly changed, and passes on what this
    function does not compute (quota, cost). Without it (None) everything is new. Idempotent: fed its own
    result at the same view it returns an equal value, whatever the time.
    """
    raise NotImplementedError
