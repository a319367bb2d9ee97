"""Who does what for the fleet: which sidecar probes a provider, which one tries a half-open scope.

Probes stay where they are until their sidecar goes; a newcomer takes only what nobody does. Trials go to the
sidecar that used the provider last: it most likely gets a request for it soon.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from cliproxy_operator.view import SidecarId


class Duty:
    """The connected sidecars and their duties."""

    def __init__(self) -> None:
        self._serves: dict[SidecarId, frozenset[str]] = {}
        self._used: dict[SidecarId, dict[str, datetime]] = {}
        self._probes: dict[str, SidecarId] = {}
        self._expected: dict[SidecarId, tuple[frozenset[str] | None, datetime]] = {}

    @property
    def probes(self) -> Mapping[str, SidecarId]:
        """Which sidecar probes which provider (by id)."""
        return self._probes

    def present(self, sidecar: SidecarId, providers: frozenset[str]) -> None:
        """Note a connected sidecar and the providers in its snapshot."""
        self._serves[sidecar] = providers
        self._used.setdefault(sidecar, {})

    def expect(self, sidecar: SidecarId, providers: frozenset[str] | None, now: datetime) -> None:
        """Note a sidecar that an earlier leader may have had a link to; None: its providers are not known."""
        self._expected[sidecar] = (providers, now)

    def heard(self, sidecar: SidecarId) -> None:
        """Note that a sidecar has said all it has to, or is no more."""
        self._expected.pop(sidecar, None)

    def unheard(self, provider_id: str) -> datetime | None:
        """Return since when, at the latest, a sidecar is expected that may try a provider; None: none is."""
        expected = self._expected.values()
        return max((since for ids, since in expected if ids is None or provider_id in ids), default=None)

    def is_present(self, sidecar: SidecarId) -> bool:
        """Whether the sidecar is connected."""
        return sidecar in self._serves

    def serves(self, sidecar: SidecarId) -> frozenset[str]:
        """Return the providers in a connected sidecar's snapshot; none for others."""
        return self._serves.get(sidecar, frozenset())

    def gone(self, sidecar: SidecarId) -> None:
        """Forget a sidecar; its probes are free until `assign`."""
        self._serves.pop(sidecar, None)
        self._used.pop(sidecar, None)

    def used(self, sidecar: SidecarId, provider_ids: Iterable[str], now: datetime) -> None:
        """Note that a sidecar has just sent requests to providers; ignored for what it does not serve."""
        known = self.serves(sidecar).intersection(provider_ids)
        if known:
            self._used[sidecar].update(dict.fromkeys(known, now))

    def serving(self, provider_id: str) -> tuple[SidecarId, ...]:
        """Return the connected sidecars whose snapshot holds the provider, sorted."""
        return tuple(sorted(sidecar for sidecar, served in self._serves.items() if provider_id in served))

    def pick(self, provider_id: str, tried: frozenset[SidecarId]) -> SidecarId | None:
        """Return who should try next: the one that used the provider last, then by name; None: nobody."""
        candidates = [sidecar for sidecar in self.serving(provider_id) if sidecar not in tried]
        return min(candidates, key=lambda sidecar: self._idle(sidecar, provider_id), default=None)

    def assign(self, wanted: Iterable[str]) -> bool:
        """Give every provider that wants a probe to one sidecar, the least busy; return whether any moved.

        Providers without a connected sidecar have none; those that are no longer wanted lose theirs.
        """
        before = dict(self._probes)
        wanted_ids = sorted(wanted)
        self._probes = {
            provider_id: before[provider_id]
            for provider_id in wanted_ids
            if provider_id in before and provider_id in self.serves(before[provider_id])
        }
        load = Counter(self._probes.values())
        for provider_id in wanted_ids:
            candidates = self.serving(provider_id) if provider_id not in self._probes else ()
            if candidates:
                chosen = min(candidates, key=lambda sidecar: (load[sidecar], sidecar))
                self._probes[provider_id] = chosen
                load[chosen] += 1
        return self._probes != before

    def _idle(self, sidecar: SidecarId, provider_id: str) -> float:
        used = self._used[sidecar].get(provider_id)
        return -used.timestamp() if used is not None else float("inf")
