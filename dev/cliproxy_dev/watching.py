"""Follow a collection of the Kubernetes API for ever: list, watch, resume, list again when it must be.

Every gap is followed by a full list, so a consumer that compares with what it knows misses no deletion.
What the objects mean is left to the consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import aiohttp

from cliproxy_dev.kube import ApiError, Json, KubeApi

log = logging.getLogger(__name__)

GONE = 410
WATCH_S = 240  # then the server ends the stream and we resume; frees a stream that is dead on its side only
SILENCE_S = 95.0  # bookmarks come about once a minute; a stream silent for longer is dead on our side only
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 3.0


@dataclass(frozen=True, slots=True)
class Listed:
    """Everything there is now; what is not in it is gone."""

    items: list[Json]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was ADDED, MODIFIED or DELETED."""

    kind: str
    item: Json


async def follow(api: KubeApi, path: str) -> AsyncGenerator[Listed | Changed, None]:
    """Yield the collection at `path` and then its changes; never ends by itself and survives outages."""
    version, retry_s = "", FIRST_RETRY_S
    while True:
        try:
            if not version:
                answer = await api.get(path)
                version = answer["metadata"]["resourceVersion"]
                yield Listed(answer["items"])
            async for event in _watch(api, path, version):
                retry_s = FIRST_RETRY_S
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield Changed(event["type"], event["object"])
            await asyncio.sleep(FIRST_RETRY_S)  # a server that ends every stream at once must not spin us
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if isinstance(error, ApiError) and error.status == GONE:
                version = ""
            log.info("watching %s: %r; again in %g s", path, error, retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)


async def mirror(api: KubeApi, path: str, known: dict[str, Json]) -> AsyncGenerator[None, None]:
    """Keep `known` (uid to object) as the collection at `path` is; yields after each change of it."""
    async with contextlib.aclosing(follow(api, path)) as changes:
        async for change in changes:
            match change:
                case Listed(items):
                    known.clear()
                    known.update((one["metadata"]["uid"], one) for one in items)
                case Changed("DELETED", item):
                    known.pop(item["metadata"]["uid"], None)
                case Changed(_, item):
                    known[item["metadata"]["uid"]] = item
            yield


async def _watch(api: KubeApi, path: str, version: str) -> AsyncIterator[Json]:
    """Yield the events of one stream; an error event becomes the `ApiError` it stands for."""
    stream = api.watch(
        path,
        silence_s=SILENCE_S,
        resourceVersion=version,
        allowWatchBookmarks="true",
        timeoutSeconds=str(WATCH_S),
    )
    async for event in stream:
        if event["type"] == "ERROR":
            status = event["object"]
            raise ApiError(status.get("code", 0), status.get("reason", ""), status.get("message", ""))
        yield event
