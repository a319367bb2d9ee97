"""What a step of all scopes looks at: those that may have changed, however many are remembered."""

from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.core.scope_store import REMEMBER_S, SWEEP_S, ScopeStore
from support.cooling import provider

KNOWN = provider()
SCOPE = Scope(provider=KNOWN.id)


def store() -> ScopeStore:
    made = ScopeStore()
    made.configure((KNOWN,), 0.0)
    return made


def test_a_scope_that_was_handed_out_is_noted_by_the_next_step() -> None:
    scopes = store()
    state = scopes.state(SCOPE)
    assert state is not None
    state.phase, state.until = CooldownPhase.COOLING, 100.0
    scopes.advance(1.0)
    assert scopes.gated == {KNOWN.id}
    known = scopes.known(SCOPE)
    assert known is state
    known.close(2.0)
    scopes.advance(2.0)
    assert scopes.gated == set()


def test_a_configuration_may_have_changed_any_scope() -> None:
    scopes = store()
    state = scopes.state(SCOPE)
    assert state is not None
    scopes.advance(1.0)
    state.phase, state.until = CooldownPhase.COOLING, 100.0
    scopes.configure((KNOWN,), 2.0)
    scopes.advance(2.0)
    assert scopes.gated == {KNOWN.id}


def test_what_is_over_is_forgotten_by_a_sweep() -> None:
    scopes = store()
    state = scopes.state(SCOPE)
    assert state is not None
    state.close(0.0)
    for now in range(0, int(REMEMBER_S), 10):
        scopes.advance(float(now))
    assert scopes.of_provider(KNOWN.id)
    scopes.advance(REMEMBER_S + SWEEP_S)
    assert not scopes.of_provider(KNOWN.id)
