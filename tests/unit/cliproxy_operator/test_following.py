"""What happens to pods in the cluster, and what is believed of their sidecars then."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_operator.following import Following
from cliproxy_operator.view import SidecarsView
from support.reconciled import Ignoring, Reconciled


@pytest.fixture
async def world() -> Reconciled:
    made = Reconciled()
    made.publisher.deactivate()  # no links
    ignoring: Any = Ignoring()
    following = Following(
        store=made.store,
        vault=made.vault,
        resync=ignoring,
        gatherer=made.gatherer,
        reconciler=made.reconciler,
        statuses=ignoring,
        publisher=made.publisher,
        collector=made.collector,
        host=made.host,
        spending=made.spending,
        pki=None,
    )
    made.on_change = following.changed
    return made


def view(world: Reconciled) -> SidecarsView:
    return world.collector.view([("shop", "")])


async def test_a_pod_made_again_under_its_name_has_told_nothing_yet(world: Reconciled) -> None:
    """The deletion was lost, or came late: nobody else says that this is another pod."""
    sidecar = world.pod(uid="p1")
    assert view(world).total == 1
    world.links(sidecar, digest="d1")
    assert world.collector.reported([("shop", "")])

    world.pod(uid="p1")
    assert world.collector.reported([("shop", "")])

    world.pod(uid="p2")
    assert view(world).total == 1
    assert not world.collector.reported([("shop", "")])
    assert [known.running.digest for known in world.collector.all()] == [""]
