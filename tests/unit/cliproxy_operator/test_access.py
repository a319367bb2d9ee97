"""Who may do what: asked, kept for a moment, bounded, and never guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from cliproxy_operator.access import KEPT_S, MAX_ASKING, MAX_KEPT, Doorkeeper, Kept, Question
from cliproxy_operator.audit import LOGGER, Audit
from cliproxy_operator.kube import ApiError
from support.manualclock import ManualClock

UPDATE = Question("update", "shop", "claude")


class ReviewKube:
    """Knows the tokens "ann" and "bob"; Ann may do everything in the shop."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.revoked = self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(path.rsplit("/", 1)[1])
        await self.gate.wait()
        if self.away:
            raise ApiError(0, "ClientConnectorError", "nobody there")
        spec = body["spec"]
        if body["kind"] == "TokenReview":
            known = spec["token"] in {"ann", "bob"} and not self.revoked
            return {"status": {"authenticated": known, "user": {"username": spec["token"]}}}
        attributes = spec["resourceAttributes"]
        return {"status": {"allowed": spec["user"] == "ann" and attributes.get("namespace") == "shop"}}


class Desk:
    def __init__(self) -> None:
        self.kube, self.clock = ReviewKube(), ManualClock()
        self.doorkeeper = Doorkeeper(self.kube, self.clock, Audit(self.clock))  # type: ignore[arg-type]

    async def ask(self, header: str | None, question: Question = UPDATE) -> int:
        denied = await self.doorkeeper.admit(header, question, peer="10.0.0.9:5")
        return denied.status if denied is not None else 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Basic YTpi", 401),
        ("Bearer", 401),
        ("Bearer " + "x" * 20_000, 401),
        ("Bearer mallory", 401),
        ("Bearer bob", 403),
        ("Bearer ann", 200),
        ("bearer  ann ", 200),
    ],
)
async def test_who_gets_in(header: str | None, status: int) -> None:
    assert await Desk().ask(header) == status


async def test_a_right_holds_for_what_was_asked_only() -> None:
    desk = Desk()
    assert await desk.ask("Bearer ann") == 200
    for other in (
        Question("update", "elsewhere", "claude"),
        Question("list", ""),
        Question("update", "", "claude"),
    ):
        assert await desk.ask("Bearer ann", other) == 403
    assert await desk.ask("Bearer bob") == 403, "another's right is not taken for one's own"


async def test_answers_are_kept_for_a_moment_and_revocation_holds_after_it() -> None:
    desk = Desk()
    for _ in range(100):
        assert await desk.ask("Bearer ann") == 200
    assert desk.kube.asked == ["tokenreviews", "subjectaccessreviews"]
    desk.kube.revoked = True
    desk.clock.advance(KEPT_S)
    assert await desk.ask("Bearer ann") == 401


async def test_an_api_server_that_is_away_lets_nobody_in_and_is_not_remembered() -> None:
    desk = Desk()
    desk.kube.away = True
    assert await desk.ask("Bearer ann") == 503
    desk.kube.away = False
    assert await desk.ask("Bearer ann") == 200


async def test_a_flood_of_tokens_is_turned_away() -> None:
    desk = Desk()
    desk.kube.gate.clear()
    calls = [asyncio.ensure_future(desk.ask(f"Bearer forged-{number}")) for number in range(100)]
    await asyncio.sleep(0)
    assert len(desk.kube.asked) == MAX_ASKING
    desk.kube.gate.set()
    answers = await asyncio.gather(*calls)
    assert answers.count(503) == 100 - MAX_ASKING
    assert answers.count(401) == MAX_ASKING


def test_what_is_kept_is_bounded_and_grows_old() -> None:
    kept: Kept[int | None] = Kept()
    for number in range(3 * MAX_KEPT):
        kept.put(number, number, 0.0)
    assert len(kept._answers) == MAX_KEPT
    assert kept.get(0, 0.0) is None
    assert kept.get(3 * MAX_KEPT - 1, KEPT_S / 2) == (3 * MAX_KEPT - 1,)
    assert kept.get(3 * MAX_KEPT - 1, KEPT_S) is None
    kept.put("none", None, 0.0)
    assert kept.get("none", 0.0) == (None,)


async def test_tokens_stand_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Desk()
    for who in ("ann", "bob", "mallory"):
        await desk.ask(f"Bearer {who}")
    told = [vars(record) for record in caplog.records if record.name == LOGGER]
    assert [(line["event"], line["who"], line["reason"], line["from"]) for line in told] == [
        ("access_refused", "bob", "forbidden", "10.0.0.9:5"),
        ("authentication_failure", "", "bad_token", "10.0.0.9:5"),
    ]
    assert desk.doorkeeper.who("Bearer ann") == "ann"
    assert desk.doorkeeper.who("Bearer nobody") == ""
    assert "mallory" not in str(vars(desk.doorkeeper._users)) + str([vars(r) for r in caplog.records])
