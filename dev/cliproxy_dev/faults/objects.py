"""Faults of objects under load: keys rotated, objects made anew, a thousand invalid ones."""

import asyncio
import base64
import contextlib
from typing import Any, Final

import aiohttp

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.faults.field import PROVIDERS, Field
from cliproxy_dev.faults.run import Run
from cliproxy_dev.faults.spoilt import PLURALS, spoilt
from cliproxy_dev.kube import ApiError, Json

SECRET: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets/provider-keys"
GROUP: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}"
INVALID: Final = 1000
AT_ONCE: Final = 8
JUDGED_S: Final = 60.0
LABEL: Final = {"cliproxy.io/made-by": "faults"}
COOLS_S: Final = 12
OVERLAP_S: Final = 3.0


async def rotate_secret(field: Field, run: Run, number: int) -> None:
    """The provider takes another key: with an overlap as people should, or the old one is revoked first."""
    key = f"sk-ant-demo-rotated-{field.chance.getrandbits(32):08x}"
    if number % 2 == 0:
        field.note("both keys were good for a while")
        await _accept_keys(field, main=await _key(field), another=key)
        await _put_key(field, key)
        await asyncio.sleep(OVERLAP_S)
        await _accept_keys(field, another=key)
    else:
        field.note("the old key was refused first")
        await _accept_keys(field, another=key)
        await asyncio.sleep(field.chance.uniform(0.0, 3.0))
        await _put_key(field, key)
    changed_s = now_s()

    async def served() -> bool:
        recent = field.load.asked[-400:]
        return {one.pod for one in recent if one.began_s > changed_s and one.provider == "claude"} >= set(
            field.pods
        )

    await run.note_stuck(served, "every sidecar uses the new key", within_s=20)


async def _key(field: Field) -> str:
    data = (await field.world.kube.get(SECRET))["data"]
    return base64.b64decode(data["claude"]).decode()


async def _put_key(field: Field, key: str) -> None:
    await field.world.kube.merge_patch(SECRET, {"stringData": {"claude": key}})


async def _accept_keys(field: Field, **keys: str) -> None:
    url = f"{field.world.control_url('claude')}/_script/keys"
    async with field.world.http.put(url, json=keys) as answer:
        answer.raise_for_status()


async def make_anew(field: Field, run: Run, number: int) -> None:
    """The object is deleted and made again, at once or after a while, while it cools or not."""
    cooling = number % 2 == 1
    if cooling:
        run.begun_cooling(await field.refuse(COOLS_S))
    wanted = await field.world.provider("claude")
    body = {key: wanted[key] for key in ("apiVersion", "kind", "spec")}
    body["metadata"] = {"name": "claude", "namespace": NAMESPACE}
    pause_s = field.chance.choice((0.0, 0.05, 1.0))
    await field.world.kube.delete(f"{PROVIDERS}/claude")
    await asyncio.sleep(pause_s)
    await field.world.kube.create(PROVIDERS, body)
    field.note(f"made again after {pause_s:g} s, {'while it cooled' if cooling else 'while it served'}")


async def invalid_objects(field: Field, run: Run, number: int) -> None:
    """A thousand random invalid objects: refused, or stored and told why; nobody else is touched."""
    pid = field.world.parts["operator"].pid
    gate = asyncio.Semaphore(AT_ONCE)
    stored: list[tuple[str, str]] = []

    async def put(one: Json) -> None:
        async with gate:
            path = f"{GROUP}/{PLURALS[one['kind']]}"
            try:
                await field.world.kube.create(path, one)
            except ApiError as error:
                field.note(_who_refused(error))
                return
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                run.seen.stuck.append(f"an object could not be sent: {error!r}")
                return
            stored.append((path, one["metadata"]["name"]))

    made = [spoilt(field.chance, f"bad-{number}-{index}") for index in range(INVALID)]
    for one in made:
        one["metadata"]["labels"] = LABEL
    for start in range(0, INVALID, 100):
        await asyncio.gather(*(put(one) for one in made[start : start + 100]))
        field.tell.progress(f"{start + 100} objects sent, {len(stored)} of them stored")
    try:
        await run.note_stuck(lambda: _judged(field), "every stored object is judged", within_s=JUDGED_S)
        await _count(field)
        run.seen.objects = len(stored)
        if field.world.parts["operator"].pid != pid:
            run.seen.other.append("the operator ended")
    finally:
        for path, name in stored:
            with contextlib.suppress(ApiError):
                await field.world.kube.delete(f"{path}/{name}")


async def _all_bad(field: Field) -> list[Json]:
    found: list[Json] = []
    for plural in PLURALS.values():
        answer = await field.world.kube.get(f"{GROUP}/{plural}", labelSelector="cliproxy.io/made-by=faults")
        found += answer["items"]
    return found


async def _judged(field: Field) -> bool:
    return all(_accepted(item) is not None for item in await _all_bad(field))


async def _count(field: Field) -> None:
    for item in await _all_bad(field):
        verdict = _accepted(item)
        word = {"True": "stored; valid or put right", "False": "stored; Accepted=False says why"}
        field.note(word.get(str(verdict), "stored; not judged"))


def _accepted(item: Json) -> str | None:
    conditions: list[dict[str, Any]] = (item.get("status") or {}).get("conditions") or []
    found = next((one for one in conditions if one["type"] == "Accepted"), None)
    if found is None or found.get("observedGeneration") != item["metadata"]["generation"]:
        return None
    return str(found["status"])


def _who_refused(error: ApiError) -> str:
    return "refused by the webhook" if "admission webhook" in error.message else "refused by the CRD's schema"
