"""Keeps the states of all scopes that ever failed, by provider, and knows which providers have any that cool.

Admission, outcomes and documents are `cooldown`'s; how a state moves is `scope_state`'s.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_sidecar.core.change import is_mended, names
from cliproxy_sidecar.core.scope_parts import Epochs
from cliproxy_sidecar.core.scope_state import ScopeState
from cliproxy_sidecar.core.target import Target

REMEMBER_S: Final = 900.0
"""How long a closed scope is remembered, so that answers from before do not cool it: a long attempt."""
SWEEP_S: Final = 30.0
"""How often what is over is looked for. A fleet's documents come in bursts, each is a step of all scopes, and
hundreds may be remembered."""


class ScopeStore:
    """States by scope; none for a scope that never failed. Bounded by the configuration."""

    __slots__ = ("_handed", "_states", "_sweep_at", "attached", "epochs", "gated", "providers")

    def __init__(self) -> None:
        self.providers: dict[str, Provider] = {}
        self.epochs: Final = Epochs()
        self.attached = False
        """Whether the operator reads this sidecar's reports."""
        self.gated: Final[set[str]] = set()
        """Ids of providers with at least one scope that is not closed."""
        self._states: dict[str, dict[Scope, ScopeState]] = {}
        self._handed: set[str] = set()
        """Ids of providers of which a state was handed out since the last `advance`: it may have changed."""
        self._sweep_at = 0.0

    def of_provider(self, provider_id: str) -> Mapping[Scope, ScopeState]:
        """Return a provider's states; empty if nothing of it ever failed."""
        return self._states.get(provider_id, _NOTHING)

    def known(self, scope: Scope) -> ScopeState | None:
        """Return the scope's state, None if there is none."""
        self._handed.add(scope.provider)
        return self.of_provider(scope.provider).get(scope)

    def state(self, scope: Scope) -> ScopeState | None:
        """Return the scope's state, made if need be; None if the configuration has no such scope."""
        provider = self.providers.get(scope.provider)
        if provider is None or not names(provider, scope):
            return None
        self._handed.add(scope.provider)
        states = self._states.setdefault(scope.provider, {})
        if scope not in states:
            states[scope] = ScopeState(scope, provider.cooldown, self.epochs)
        return states[scope]

    def covering(self, target: Target, now: float) -> list[ScopeState]:
        """Return the states that are not closed and cover a target, brought up to now."""
        states = self.of_provider(target.provider_id)
        covering = [states[scope] for scope in target.scopes if scope in states]
        for state in covering:
            state.advance(now, attached=self.attached)
        return [state for state in covering if state.phase is not None]

    def cooling(self) -> Iterator[ScopeState]:
        """Yield every state that is not closed."""
        for provider_id in self.gated:
            for state in self._states[provider_id].values():
                if state.phase is not None:
                    yield state

    def note(self, provider_id: str) -> None:
        """Bring `gated` up to date after a change."""
        if any(state.phase is not None for state in self.of_provider(provider_id).values()):
            self.gated.add(provider_id)
        else:
            self.gated.discard(provider_id)

    def advance(self, now: float) -> None:
        """Move on what is due, and now and then forget what is over."""
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._sweep(now)
        concerned = self.gated | self._handed  # all others are closed, and a closed scope is never due
        self._handed.clear()
        for provider_id in concerned:
            for state in self.of_provider(provider_id).values():
                state.advance(now, attached=self.attached)
            self.note(provider_id)

    def _sweep(self, now: float) -> None:
        for provider_id, states in list(self._states.items()):
            window_s = self.providers[provider_id].cooldown.detection_window_s
            for scope in [scope for scope, state in states.items() if _is_over(state, now, window_s)]:
                del states[scope]
            if not states:
                del self._states[provider_id]

    def configure(self, providers: tuple[Provider, ...], now: float) -> None:
        """Keep the states of scopes that are still there; close those whose ground is gone."""
        before, self.providers = self.providers, {provider.id: provider for provider in providers}
        for provider_id in self._states.keys() - self.providers.keys():
            del self._states[provider_id]
            self.gated.discard(provider_id)
        self._handed.update(self._states)
        for provider_id, states in self._states.items():
            old, new = before[provider_id], self.providers[provider_id]
            for scope in [scope for scope in states if not names(new, scope)]:
                del states[scope]
            for state in states.values():
                state.rules = new.cooldown
                if is_mended(old, new, state):
                    state.close(now)


def _is_over(state: ScopeState, now: float, window_s: float) -> bool:
    return state.phase is None and now - state.since > REMEMBER_S and state.count.is_idle(now, window_s)


_NOTHING: Final[Mapping[Scope, ScopeState]] = {}
