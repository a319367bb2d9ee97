import msgspec
import pytest

from cliproxy_dev.providers import script as script_module
from cliproxy_dev.providers.script import Behaviour, Facts, Fail, Match, Normal, Reset, Script, Step


def facts(
    *, path: str = "/v1/x", model: str | None = "m", credential: str = "main", billed: bool = True
) -> Facts:
    return Facts(path=path, model=model, credential=credential, billed=billed)


def fail(status: int) -> Fail:
    return Fail(status=status)


def test_without_steps_the_default_answers() -> None:
    assert Script().take(facts()) == Normal()
    assert Script(default=fail(500)).take(facts()) == fail(500)


def test_steps_are_used_in_order_and_as_often_as_they_say() -> None:
    script = Script([Step(behaviour=fail(1), times=2), Step(behaviour=fail(2))])
    assert [script.take(facts()) for _ in range(4)] == [fail(1), fail(1), fail(2), Normal()]
    assert script.pending == ()


def test_pending_shows_what_is_left() -> None:
    script = Script([Step(behaviour=fail(1), times=3)])
    script.take(facts())
    assert script.pending == (Step(behaviour=fail(1), times=2),)


def test_a_step_without_number_stays() -> None:
    script = Script([Step(behaviour=fail(1), times=None), Step(behaviour=fail(2))])
    assert [script.take(facts()) for _ in range(50)] == [fail(1)] * 50


def test_a_step_waits_for_its_request_and_lets_others_pass() -> None:
    script = Script([Step(behaviour=fail(1), match=Match(model="a")), Step(behaviour=fail(2))])
    assert script.take(facts(model="b")) == fail(2)
    assert script.take(facts(model="b")) == Normal()
    assert script.take(facts(model="a")) == fail(1)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(model="m"), True),
        (Match(model="other"), False),
        (Match(credential="main"), True),
        (Match(credential="spare"), False),
        (Match(path="/v1/"), True),
        (Match(path="/v2/"), False),
        (Match(requests="all"), True),
        (Match(requests="probes"), False),
        (Match(model="m", credential="spare"), False),
    ],
)
def test_match(match: Match, *, fits: bool) -> None:
    assert match.fits(facts()) is fits


def test_probes_are_matched_only_on_request() -> None:
    probe = facts(billed=False, model=None)
    assert not Match().fits(probe)
    assert Match(requests="probes").fits(probe)
    assert Match(requests="all").fits(probe)
    script = Script([Step(behaviour=fail(1))], default=fail(2))
    assert script.take(probe) == fail(2)
    assert script.take(facts()) == fail(1)


def test_clear_forgets_steps_and_default() -> None:
    script = Script([Step(behaviour=fail(1))], default=fail(2))
    script.clear()
    assert script.take(facts()) == Normal()


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Step(behaviour=Normal(), times=0)
    monkeypatch.setattr(script_module, "MAX_STEPS", 2)
    script = Script([Step(behaviour=Reset())] * 2)
    with pytest.raises(ValueError, match="at most 2"):
        script.add(Step(behaviour=Reset()))
    assert len(script.pending) == 2


def test_behaviours_travel_as_json() -> None:
    step = Step(behaviour=Reset(after_bytes=3), times=None, match=Match(model="m"))
    assert msgspec.json.decode(msgspec.json.encode(step), type=Step) == step
    assert msgspec.json.decode(b'{"kind":"fail","status":429}', type=Behaviour) == fail(429)
