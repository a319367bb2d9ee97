"""Pure: how many Events one object may have, so that a provider which flaps all day does not fill etcd.

As Kubernetes' own clients do (client-go's event correlator: 25 at once, then one in five minutes). What is
left out is counted, and told with the next that is posted; the log has them all.
"""

from dataclasses import dataclass
from typing import Final

from cliproxy_operator.inputs import ObjectKey

BURST: Final = 25
REFILL_S: Final = 300.0


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float
    left_out: int = 0


class EventGate:
    """What each object has left. `now` is monotonic seconds. Holds one entry for each object that had any."""

    def __init__(self) -> None:
        self._objects: dict[ObjectKey, _Allowance] = {}

    def admits(self, key: ObjectKey, now: float) -> int | None:
        """Return how many were left out since the last that was posted; None: this one is left out too."""
        one = self._objects.setdefault(key, _Allowance(BURST, now))
        one.left = min(BURST, one.left + (now - one.at) / REFILL_S)
        one.at = now
        if one.left < 1:
            one.left_out += 1
            return None
        left_out, one.left_out = one.left_out, 0
        one.left -= 1
        return left_out

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._objects.pop(key, None)
