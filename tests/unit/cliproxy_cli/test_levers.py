"""`cooldown` and `recover` set the operator's annotations and wait for what becomes of them."""

from pathlib import Path
from typing import Any

import pytest

from cliproxy_cli import levers
from support.commandline import Asked, StubApi, provider, run

PATH = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders/claude"
COOLDOWN, RECOVER = "cliproxy.io/cooldown", "cliproxy.io/recover"


class Operator:
    """Takes annotations at the second look, as the operator does."""

    def __init__(self, api: StubApi, **status: Any) -> None:
        self.one = provider("claude")
        self.status = status
        self.patched: list[Asked] = []
        api.objects[PATH] = self.one
        self._answer = api.answer
        api.answer = self.answer  # type: ignore[method-assign]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "PATCH":
            self.patched.append(asked)
            self.one["metadata"]["annotations"] = dict(asked.body["metadata"]["annotations"])
        elif self.one["metadata"].get("annotations"):
            found = self._answer(asked)[0], {**self.one, "metadata": dict(self.one["metadata"])}
            self.one["metadata"]["annotations"] = {}
            self.one["status"] = self.status
            return found
        return self._answer(asked)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "LOOK_S", 0.01)
    monkeypatch.setattr(levers, "WAIT_S", 0.1)


def test_what_can_be_no_name_is_asked_of_nobody(api: StubApi, kubeconfig: Path) -> None:
    ran = run("cooldown", "../secrets", "--for", "1h", kubeconfig=kubeconfig)

    assert ran.code == 2
    assert "'../secrets' is no name that a LLMProvider can have" in ran.err
    assert not api.asked


def test_a_cooldown_is_asked_for_and_waited_for(api: StubApi, kubeconfig: Path) -> None:
    operator = Operator(api, inCooldown=True, phase="CoolingDown", cooldownUntil="2999-01-01T00:00:00Z")

    ran = run("cooldown", "claude", "--for", "1h30m", kubeconfig=kubeconfig)

    assert ran.code == 0
    assert ran.out.startswith("claude: sits out until 2999-01-01T00:00:00Z (")
    (patch,) = operator.patched
    assert patch.body == {"metadata": {"annotations": {COOLDOWN: "1h30m"}}}
    assert patch.query == {"fieldManager": "kubectl-cliproxy"}


def test_a_recovery_is_asked_for_and_waited_for(api: StubApi, kubeconfig: Path) -> None:
    operator = Operator(api, inCooldown=False, phase="Healthy")

    ran = run("recover", "claude", kubeconfig=kubeconfig)

    assert (ran.code, ran.out) == (0, "claude: Healthy\n")
    assert operator.patched[0].body == {"metadata": {"annotations": {RECOVER: "now"}}}


def test_a_wish_that_nobody_takes_is_told(api: StubApi, kubeconfig: Path) -> None:
    api.objects[PATH] = {
        **provider("claude"),
        "metadata": {"name": "claude", "annotations": {RECOVER: "now"}},
    }

    ran = run("recover", "claude", kubeconfig=kubeconfig)

    assert ran.code == 1
    assert f"no operator has taken the annotation {RECOVER}" in ran.err
    assert "is the operator running" in ran.err


def test_a_wish_without_effect_is_told(api: StubApi, kubeconfig: Path) -> None:
    Operator(api, phase="Disabled")

    ran = run("cooldown", "claude", kubeconfig=kubeconfig)

    assert ran.code == 1
    assert "the operator has taken the wish, but claude is Disabled" in ran.err


@pytest.mark.parametrize(
    ("duration", "says"), [("soon", "is not a duration"), ("0s", "between"), ("9999h", "between")]
)
def test_what_is_no_duration_is_refused_before_anything_is_asked(
    api: StubApi, kubeconfig: Path, duration: str, says: str
) -> None:
    ran = run("cooldown", "claude", "--for", duration, kubeconfig=kubeconfig)

    assert ran.code == 2
    assert says in ran.err
    assert api.asked == []


def test_a_provider_that_is_not_there_is_named(api: StubApi, kubeconfig: Path) -> None:
    api.refusals[PATH] = (404, {"reason": "NotFound", "message": "not found", "details": {"name": "claude"}})

    ran = run("recover", "claude", "--no-wait", kubeconfig=kubeconfig)

    assert ran.code == 1
    assert "there is no LLMProvider 'claude' in namespace team-a" in ran.err


def test_nobody_needs_to_wait(api: StubApi, kubeconfig: Path) -> None:
    api.objects[PATH] = provider("claude")

    assert (
        run("cooldown", "claude", "--no-wait", kubeconfig=kubeconfig).out
        == "claude: asked to sit out for 10m\n"
    )
    assert [one.method for one in api.asked] == ["PATCH"]
