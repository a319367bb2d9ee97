"""The webhooks' desk answers anybody who reaches its port: what it must not tell, do or write down."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cliproxy_operator.admission.desk import Desk
from cliproxy_operator.admission.review import Answer, Kind, Request, UserInfo
from cliproxy_operator.audit import Audit
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.kinds import POLICY, SECRET
from cliproxy_operator.store import Store
from cliproxy_operator.vault import Vault
from support.listkube import ListKube
from support.manualclock import ManualClock

SPEC = {
    "type": "anthropic",
    "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "key"}}],
    "models": [{"name": "claude"}],
    "cooldownPolicyRef": {"name": "patient"},
}


class World:
    """A desk, and the API server that it could ask."""

    def __init__(self) -> None:
        self.kube = ListKube()
        self.store = Store(lambda _change: None)
        addresses = AddressRules()
        self.desk = Desk(
            gatherer=Gatherer(
                store=self.store,
                vault=Vault(lambda _namespaces: None, digest_key=b"key"),
                kube=self.kube,  # type: ignore[arg-type]
                addresses=addresses,
            ),
            addresses=addresses,
            template=lambda: Template(image="sidecar"),
            own_namespace="cliproxy-system",
            audit=Audit(ManualClock()),
        )

    async def ask(self, asked_about: str = "shop", **metadata: Any) -> Answer:
        answer, _ = await self.desk.object(
            Request(
                uid="1",
                kind=Kind(kind="LLMProvider", group="cliproxy.io"),
                operation="CREATE",
                name="claude",
                namespace=asked_about,
                object={"metadata": {"name": "claude", **metadata}, "spec": SPEC},
                user_info=UserInfo(username="ann@example.com"),
            )
        )
        return answer


@pytest.mark.parametrize("namespace", ["../secrets?x=", "..", "", "a/b", "Shop", "a" * 64])
async def test_a_namespace_that_is_none_is_refused(namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = await World().ask(namespace, namespace="shop")

    assert (answer.allowed, answer.message) == (False, f"{namespace!r} is no namespace")
    assert not caplog.records, "who asks so is no API server: nobody's name is written down"


async def test_an_object_of_another_namespace_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = await World().ask("bank", namespace="shop")

    assert not answer.allowed
    assert "metadata.namespace: 'shop' is not the namespace asked about" in answer.message
    assert not caplog.records


async def test_an_old_object_of_another_namespace_is_refused() -> None:
    old = {"metadata": {"name": "claude", "namespace": "bank"}, "spec": SPEC}
    answer, result = await World().desk.object(
        Request(uid="1", kind=Kind(kind="LLMProvider"), operation="DELETE", namespace="shop", old_object=old)
    )

    assert (answer.allowed, result) == (False, "refused")


async def test_no_answer_tells_of_secrets() -> None:
    """Whoever asks may have no right to them: they are the same to the answer, there or not."""
    world = World()
    without = await world.ask(namespace="shop")
    world.kube.put(SECRET, 1, "keys", data={"key": "b2xk"})

    assert without.allowed
    assert [text.partition(":")[0] for text in without.warnings] == ["spec.cooldownPolicyRef.name"]
    assert await world.ask() == without
    assert world.kube.asked == []


async def test_what_is_in_the_store_is_no_doubt(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    metadata = {"name": "patient", "namespace": "shop", "uid": "1", "resourceVersion": "1"}
    world.store.upsert(POLICY, {"metadata": metadata, "spec": {}})
    with caplog.at_level(logging.INFO):
        answer = await world.ask()

    assert answer == Answer()
    (line,) = caplog.records
    assert line.__dict__["who"] == "ann@example.com"
    assert line.__dict__["object"] == "LLMProvider/shop/claude"
