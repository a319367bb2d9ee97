"""Sidecars are native where the API server knows them: asked, asked again, plain until it has answered."""

import asyncio
from typing import cast

import pytest

from cliproxy_operator.admission.templates import ASK_AGAIN_S, Templates
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.settings import read_settings
from cliproxy_operator.settings_webhooks import read_webhook_settings
from cliproxy_operator.tasks import Tasks

pytestmark = pytest.mark.looptime


class Server:
    """Tells its version, or nothing."""

    def __init__(self, *versions: tuple[int, int] | None) -> None:
        self.versions = list(versions)
        self.asked = 0

    async def server_version(self) -> tuple[int, int]:
        self.asked += 1
        version = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        if version is None:
            raise ApiError(0, "ClientConnectorError", "no answer")
        return version


def templates(server: Server, **env: str) -> Templates:
    settings = read_webhook_settings({"CLIPROXY_WEBHOOKS": "1", **env})
    assert settings is not None
    return Templates(kube=cast("Kube", server), settings=settings, operator=read_settings({}))


async def native_after(made: Templates, seconds: float) -> bool:

    tasks = Tasks()
    tasks.spawn(made.run(), "templates")
    await asyncio.sleep(seconds)
    await tasks.stop()
    return made.current.native


@pytest.mark.parametrize(
    ("version", "native"), [((1, 20), False), ((1, 28), False), ((1, 29), True), ((2, 0), True)]
)
async def test_the_version_decides(version: tuple[int, int], *, native: bool) -> None:
    assert await native_after(templates(Server(version)), 1) is native


async def test_plain_until_it_has_answered_and_then_at_once() -> None:
    made = templates(server := Server(None, None, (1, 33)))

    assert not await native_after(made, 1)
    assert await native_after(made, 5)
    assert server.asked <= 4


async def test_an_upgrade_is_noticed_and_makes_older_sidecars_stale() -> None:
    made = templates(Server((1, 28), (1, 29)))
    before = made.current.digest

    assert await native_after(made, ASK_AGAIN_S + 1)
    assert made.current.digest != before


@pytest.mark.parametrize(("word", "native"), [("always", True), ("never", False)])
async def test_a_person_can_decide(word: str, *, native: bool) -> None:
    made = templates(server := Server((1, 33) if word == "never" else (1, 20)), CLIPROXY_SIDECAR_NATIVE=word)

    assert await native_after(made, 5) is native
    assert server.asked == 0
