"""What stands between the operator and everybody else: a valve to each sidecar, and one to the API server.

So a step that is over in milliseconds lasts for as long as somebody outside wants to look at it. Putting them
there is `behind`'s.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cliproxy_dev.faults.valve import Valve


@dataclass(frozen=True, slots=True)
class Between:
    """The valves; `there` is the operator's direction."""

    pods: Mapping[str, Valve]
    apiserver: Valve
    environment: Mapping[str, str]
    """What leads an operator through the valves."""

    def hold(self, *, there: Iterable[str] = (), back: Iterable[str] = (), writes: bool = False) -> None:
        """Hold back what the operator tells these pods, what those tell it, what it asks of the API."""
        for pod in there:
            self.pods[pod].hold(there=True)
        for pod in back:
            self.pods[pod].hold(back=True)
        if writes:
            self.apiserver.hold(there=True)

    def open(self) -> None:
        """Let everything pass."""
        for valve in self._all():
            valve.open()

    def lose(self) -> None:
        """End all connections; what was held is lost, as it would be with who sent it."""
        for valve in self._all():
            valve.lose()

    def _all(self) -> Iterator[Valve]:
        yield from self.pods.values()
        yield self.apiserver
