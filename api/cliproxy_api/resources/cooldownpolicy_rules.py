"""CooldownPolicy: what must hold across its fields."""

from itertools import pairwise
from typing import Final

from cliproxy_api.resources.cooldownpolicy import ClassOverride
from cliproxy_api.resources.rule import Rule
from cliproxy_api.vocabulary import COUNTED_CLASSES, Trip

FULL_PERCENT: Final = 100


def _says_something(override: ClassOverride) -> bool:
    return override.duration is not None or override.trip is not None


def _does_not_contradict(override: ClassOverride) -> bool:
    return override.trip is not Trip.NEVER or override.duration is None


RULES: Final = (
    Rule(
        "spec.recovery.ramp",
        "steps must ascend",
        lambda ramp: all(low < high for low, high in pairwise(ramp)),
    ),
    Rule("spec.recovery.ramp", "the last step must be 100", lambda ramp: ramp[-1] == FULL_PERCENT),
    Rule(
        "spec.classOverrides",
        "keys must be of RateLimited, Ramp, QuotaLong, QuotaMoney, Overloaded, ServerError, Auth, Config and "
        "StreamError; other outcomes never cool a provider",
        lambda overrides: all(key in COUNTED_CLASSES for key in overrides),
    ),
    Rule("spec.classOverrides{}", "duration or trip must be set", _says_something),
    Rule(
        "spec.classOverrides{}",
        "duration has no meaning with trip: Never; leave one of them out",
        _does_not_contradict,
        field="duration",
    ),
)
