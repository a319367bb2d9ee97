"""The operator's process against a real API server: what it writes and pushes, and when it does neither."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import ProviderTraffic, Reused, Traffic, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.state import Evidence
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_dev.controlplane.start import ControlPlane
from support.cluster import create_namespace, eventually, remove_namespace
from support.fakesidecar import FakeSidecar
from support.operatorproc import OperatorProcess, Shop, running

pytestmark = pytest.mark.timeout(120)

Pair = tuple[OperatorProcess, Shop]


@pytest.fixture
async def pair(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> AsyncIterator[Pair]:
    async with running(control_plane, namespace, tmp_path) as pair:
        yield pair


def tripped(shop: Shop, provider: str = "claude", remaining_s: float = 60.0) -> Tripped:
    return Tripped(
        scope=Scope(provider=f"{shop.namespace}/{provider}", credential="main", model="claude-sonnet-4-5"),
        outcome_class=OutcomeClass.RATE_LIMITED,
        reason="429 rate_limit_error",
        remaining_s=remaining_s,
        evidence=Evidence(status=429, code="rate_limit_error", header="retry-after: 60"),
    )


async def told(shop: Shop, reason: str) -> list[str]:
    return [str(event["message"]) for event in await shop.events() if event["reason"] == reason]


async def until_synced(shop: Shop, name: str, summary: str = "1/1") -> None:
    async def look() -> bool:
        sidecars = (await shop.status(name)).get("sidecars") or {}
        return bool(sidecars.get("summary") == summary)

    await eventually(look, what=f"{name} in force in {summary}")


async def test_a_provider_is_pushed_with_its_key_and_accepted(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret(key="sk-planted-1")
        await shop.provider("claude")

        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
        await until_synced(shop, "claude")

    assert fake.snapshot is not None
    provider = fake.snapshot.snapshot.providers[0]
    assert provider.id == f"{shop.namespace}/claude"
    assert list(fake.snapshot.secrets.values()) == ["sk-planted-1"]
    assert (await shop.condition("claude", "Accepted"))["status"] == "True"
    assert "sk-planted-1" not in operator.log()


async def test_a_missing_secret_is_named_and_picked_up_when_it_appears(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.provider("claude", secret="late")
        await shop.until_phase("claude", "Misconfigured")
        condition = await shop.condition("claude", "Accepted")
        assert condition["status"] == "False"
        assert "late" in condition["message"]

        await shop.secret("late", key="sk-planted-2")

        await fake.until(lambda: fake.snapshot and "sk-planted-2" in fake.snapshot.secrets.values())
        await until_synced(shop, "claude")


async def test_a_rotated_key_reaches_the_sidecar(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret(key="sk-planted-old")
        await shop.provider("claude")
        await fake.until(lambda: fake.snapshot and fake.snapshot.secrets)

        await shop.api.request(
            "PATCH",
            f"/api/v1/namespaces/{shop.namespace}/secrets/keys",
            body={"stringData": {"key": "sk-planted-new"}},
            content_type="application/merge-patch+json",
        )

        await fake.until(lambda: fake.snapshot and "sk-planted-new" in fake.snapshot.secrets.values())


async def test_a_profiles_redis_password_is_missed_picked_up_and_rotated(pair: Pair) -> None:
    operator, shop = pair
    redis = {"url": "redis://redis:6379/1", "passwordSecretRef": {"name": "redis", "key": "password"}}

    async def accepted(word: str) -> bool:
        condition = await shop.condition("gold", "Accepted", "ProxyProfile")
        return condition.get("status") == "True" and word in condition["message"]

    async with shop.sidecar(operator, profile="gold") as fake:
        await shop.apply("ProxyProfile", "gold", {"cache": {"enabled": True, "redis": redis}})
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.profile.cache)
        assert fake.snapshot is not None
        assert fake.snapshot.snapshot.profile.cache is not None
        assert fake.snapshot.snapshot.profile.cache.redis is None
        await eventually(lambda: accepted("passwordSecretRef: Secret 'redis' is not"), what="the warning")

        await shop.secret("redis", password="planted-one")
        await fake.until(lambda: fake.snapshot and "planted-one" in fake.snapshot.secrets.values())
        await eventually(lambda: accepted("valid"), what="the end of the warning")

        await shop.api.request(
            "PATCH",
            f"/api/v1/namespaces/{shop.namespace}/secrets/redis",
            body={"stringData": {"password": "planted-two"}},
            content_type="application/merge-patch+json",
        )
        await fake.until(lambda: fake.snapshot and "planted-two" in fake.snapshot.secrets.values())
    assert "planted-" not in operator.log()


async def test_a_wrong_object_harms_nobody_else(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("good")
        await shop.provider("bad", baseURL="http://169.254.169.254/latest")

        await shop.until_phase("bad", "Misconfigured")
        await until_synced(shop, "good")

    assert "baseURL" in (await shop.condition("bad", "Accepted"))["message"]
    assert fake.snapshot is not None
    assert [provider.name for provider in fake.snapshot.snapshot.providers] == ["good"]


async def test_a_lent_provider_counts_the_sidecars_of_those_it_is_lent_to(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    guest = await create_namespace(control_plane, "guest")
    options = {"env": {"CLIPROXY_NAMESPACES": f"{namespace},{guest}"}}
    try:
        async with running(control_plane, namespace, tmp_path, **options) as (operator, shop):
            await shop.secret()
            await shop.provider("claude", allowedNamespaces={"from": "All"})
            await shop.provider("private")
            other = Shop(shop.api, guest)
            async with other.sidecar(operator) as fake:
                await until_synced(shop, "claude")
                fake.tell(tripped(shop, "private"))
                fake.tell(tripped(shop))
                await shop.until_phase("claude", "CoolingDown")
                assert (await shop.status("private"))["inCooldown"] is False

                await shop.api.delete(f"/api/v1/namespaces/{guest}/pods/app-1", {"gracePeriodSeconds": 0})
                await until_synced(shop, "claude", "0/0")
    finally:
        await remove_namespace(control_plane, guest)


async def test_a_deleted_provider_leaves_the_sidecar(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("claude")
        await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)

        await shop.delete("LLMProvider", "claude")

        await fake.until(lambda: fake.snapshot and not fake.snapshot.snapshot.providers)


async def test_a_trip_at_one_sidecar_reaches_the_other_and_status(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator, "app-1") as first, shop.sidecar(operator, "app-2") as second:
        await shop.secret()
        await shop.provider("claude")
        await until_synced(shop, "claude", "2/2")

        first.tell(tripped(shop))

        await second.until(lambda: second.state and second.state.state.cooldowns)
        status = await shop.until_phase("claude", "CoolingDown")
    assert second.state is not None
    cooldown = second.state.state.cooldowns[0]
    assert cooldown.scope.credential == "main"
    assert status["inCooldown"] is True
    assert status["cooldowns"][0]["evidence"]["status"] == 429
    await eventually(lambda: told(shop, "CoolingDown"), what="an Event")
    assert len(await told(shop, "CoolingDown")) == 1


async def test_what_sidecars_keep_is_shown_for_the_fleet(pair: Pair, control_plane: ControlPlane) -> None:
    operator, shop = pair

    async def shown() -> dict[str, Any]:
        _, body = await operator.get("/v0/operations/cache/stats", token=control_plane.token)
        return dict(body["fleet"]["cache"]["hits"])

    async with shop.sidecar(operator) as one, shop.sidecar(operator, "app-2") as two:
        for fake in (one, two):
            await fake.until(lambda fake=fake: fake.read)
            fake.tell(Traffic(providers={}, reused=Reused(hits=3, redis_hits=1, misses=2)))

        async def added_up() -> bool:
            return await shown() == {"local": 6, "redis": 2}

        await eventually(added_up, what="both sidecars' hits are added up")
        two.tell(Traffic(providers={}))

        async def told_less() -> bool:
            return await shown() == {"local": 3, "redis": 1}

        await eventually(told_less, what="a cache that was switched off counts no more")


async def test_annotations_are_consumed_and_take_effect(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("claude")
        await until_synced(shop, "claude")

        await shop.annotate("LLMProvider", "claude", cooldown="10m")

        await fake.until(lambda: fake.state and fake.state.state.cooldowns)
        await shop.until_phase("claude", "CoolingDown")
        await until_unannotated(shop, "claude")

        await shop.annotate("LLMProvider", "claude", recover="now")

        await fake.until(lambda: fake.state and not fake.state.state.cooldowns)
        await until_unannotated(shop, "claude")
        assert (await shop.status("claude"))["inCooldown"] is False


async def test_an_unreadable_annotation_is_removed_with_a_word(pair: Pair) -> None:
    _, shop = pair
    await shop.secret()
    await shop.provider("claude")

    await shop.annotate("LLMProvider", "claude", cooldown="soon")

    await until_unannotated(shop, "claude")
    words = await told(shop, "AnnotationIgnored")
    assert len(words) == 1
    assert "soon" in words[0]


async def until_unannotated(shop: Shop, name: str) -> None:
    async def look() -> bool:
        metadata = (await shop.get("LLMProvider", name))["metadata"]
        return not any(key.startswith("cliproxy.io/") for key in metadata.get("annotations") or {})

    await eventually(look, what=f"{name} without annotations")


async def test_a_steady_system_writes_nothing(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        await shop.secret()
        await shop.provider("claude")
        await shop.apply("CooldownPolicy", "calm", {})
        await shop.apply("ProxyProfile", "plain", {})
        await until_synced(shop, "claude")
        await settled(operator)
        writes, lease = await operator.writes(), await lease_writes(operator)
        version = (await shop.get("LLMProvider", "claude"))["metadata"]["resourceVersion"]
        figures = ProviderTraffic(
            requests=100, tokens=5_000, latency_sum_ms=10_000, latency_buckets={100: 100}
        )
        fake.tell(Traffic(providers={f"{shop.namespace}/claude": figures}))

        # The lease's renewals are the clock here: about one a second.
        await eventually(lambda: leases_reach(operator, lease + 4), within_s=30, what="a few quiet seconds")

        # The traffic's first figures are one write; nothing else changed.
        assert await operator.writes() - writes <= 1
        newest = (await shop.get("LLMProvider", "claude"))["metadata"]["resourceVersion"]
        assert (newest == version) == (await operator.writes() == writes)


async def lease_writes(operator: OperatorProcess) -> float:
    return await operator.metric("cliproxy_operator_api_writes_total", kind="Lease")


async def leases_reach(operator: OperatorProcess, count: float) -> bool:
    return await lease_writes(operator) >= count


async def settled(operator: OperatorProcess) -> None:
    """Wait until two seconds' worth of lease renewals bring no other write."""

    async def quiet() -> bool:
        before, lease = await operator.writes(), await lease_writes(operator)
        await eventually(lambda: leases_reach(operator, lease + 2), within_s=20)
        return await operator.writes() == before

    await eventually(quiet, within_s=30, what="no more writes")


async def test_until_survives_kill_9_of_the_operator(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with running(control_plane, namespace, tmp_path) as (operator, shop):  # noqa: SIM117 -- first one
        async with shop.sidecar(operator) as fake:
            await shop.secret()
            await shop.provider("claude")
            await until_synced(shop, "claude")
            fake.tell(tripped(shop, remaining_s=300))
            before = await shop.until_phase("claude", "CoolingDown")
            await eventually(lambda: told(shop, "CoolingDown"), what="an Event")
            epoch = fake.newest_epoch
            await operator.kill()
            await fake.until(lambda: not fake.read)
            fake.states.clear()

            operator.process.start()
            await operator.ready()
            await fake.until(lambda: fake.states)

            assert fake.state is not None
            assert fake.state.position.epoch > epoch
            until = fake.state.state.cooldowns[0].until_utc
            assert until.strftime("%Y-%m-%dT%H:%M:%SZ") == before["cooldowns"][0]["until"]
            await until_synced(shop, "claude")
            after = await shop.status("claude")
            assert after["cooldowns"][0]["until"] == before["cooldowns"][0]["until"]
            assert len(await told(shop, "CoolingDown")) == 1


async def test_a_refused_snapshot_is_told_in_status(pair: Pair) -> None:
    operator, shop = pair
    async with shop.sidecar(operator) as fake:
        fake.refuse_snapshots = "cannot run this"
        await shop.secret()
        await shop.provider("claude")

        async def look() -> bool:
            condition = await shop.condition("claude", "Synced")
            return condition.get("reason") == "SnapshotRefused" and "cannot run this" in condition["message"]

        await eventually(look, what="Synced=False, SnapshotRefused")


async def test_a_standby_takes_over_at_once_after_sigterm(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with running(control_plane, namespace, tmp_path) as (first, shop):
        # It looks at the Lease when it begins, and then not for minutes: it must hear of it.
        listening = {
            "CLIPROXY_CONTROL_PORT": str(first.control_port),
            "CLIPROXY_LEASE_DURATION": "400s",
            "CLIPROXY_LEASE_RENEW": "300s",
            "CLIPROXY_LEASE_RETRY": "200s",
        }
        async with (
            OperatorProcess(control_plane, namespace, tmp_path, env=listening) as second,
            shop.sidecar(first) as fake,
        ):
            await shop.secret()
            await shop.provider("claude")
            await until_synced(shop, "claude")
            await eventually(lambda: stands(second, "standby"), within_s=30)
            epoch = fake.newest_epoch

            first.terminate()
            first.terminate()

            await eventually(lambda: stands(second, "leading"), within_s=5)
            await fake.until(lambda: fake.newest_epoch > epoch and fake.read)
            assert await first.process.wait() == 0
            status, body = await second.get("/v0/operations/providers/status", token=control_plane.token)
            assert status == 200
            assert body["providers"]["claude"]["status"] == "healthy"


async def stands(operator: OperatorProcess, standing: str) -> bool:
    try:
        return bool((await operator.get("/health/ready"))[1]["standing"] == standing)
    except OSError:
        return False


async def test_an_unlinked_stranger_gets_nothing(pair: Pair) -> None:
    """Another pod's process answers at the address: no configuration, no keys."""
    operator, shop = pair
    await shop.secret()
    await shop.provider("claude")
    async with FakeSidecar("somebody-else", shop.namespace, address="127.78.0.1").serving(
        operator.control_port
    ):
        await shop.pod("app-1", "127.78.0.1")

        async def look() -> bool:
            condition = await shop.condition("claude", "Synced")
            return condition.get("reason") == "NotConnected" and "somebody-else" in condition["message"]

        await eventually(look, what="the stranger is named")
