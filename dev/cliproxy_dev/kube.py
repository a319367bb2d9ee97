"""A thin asynchronous client of the Kubernetes API for the development tools and tests.

Paths and objects are plain strings and dicts. Follow a collection with `watching.py`. The operator has its
own client; this one stays independent of it so that tests judge the operator from outside.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from cliproxy_dev import kubeconfig

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML, so a JSON body is fine
REQUEST_TIMEOUT_S = 30.0
FIRST_ERROR_STATUS = 400


class ApiError(RuntimeError):
    """The API server refused; `status` is the HTTP status, `reason` Kubernetes' word such as NotFound."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class KubeApi:
    """One session with one API server. Use as an async context manager, or call `close`."""

    def __init__(self, endpoint: kubeconfig.Endpoint) -> None:
        """Must be called inside the running event loop that will use it."""
        self.server = endpoint.server
        headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=endpoint.ssl_context(), limit=64),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        )

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """Open a session as the user of a kubeconfig file."""
        return cls(kubeconfig.read(path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send one request.

        Raises `ApiError` for a refusal, `aiohttp.ClientError` or `TimeoutError` when there was no answer.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": content_type}
        async with self._session.request(
            method, self.server + path, params=params, data=data, headers=headers
        ) as response:
            content = await response.read()
            if response.status >= FIRST_ERROR_STATUS:
                raise _api_error(response.status, content)
        return _object(content)

    async def get(self, path: str, **params: str) -> Json:
        """Read one object or a list."""
        return await self.request("GET", path, params=params)

    async def create(self, path: str, body: Json) -> Json:
        """Create an object in the collection at `path`."""
        return await self.request("POST", path, body=body)

    async def replace(self, path: str, body: Json) -> Json:
        """Replace the object at `path`; conflicts when `resourceVersion` is given and stale."""
        return await self.request("PUT", path, body=body)

    async def merge_patch(self, path: str, body: Json) -> Json:
        """Merge `body` into the object at `path`."""
        return await self.request("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        """Server-side apply `body` at `path` under the field manager `manager`."""
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self.request("PATCH", path, body=body, params=params, content_type=APPLY_PATCH)

    async def delete(self, path: str, body: Json | None = None) -> Json:
        """Delete the object at `path`; `body` may hold DeleteOptions."""
        return await self.request("DELETE", path, body=body)

    async def watch(self, path: str, *, silence_s: float, **params: str) -> AsyncIterator[Json]:
        """Yield watch events until the server ends the stream; silent for `silence_s` is a `TimeoutError`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_S, sock_read=silence_s)
        async with self._session.get(
            self.server + path, params={"watch": "true", **params}, timeout=timeout
        ) as response:
            if response.status >= FIRST_ERROR_STATUS:
                raise _api_error(response.status, await response.read())
            rest = b""
            async for chunk in response.content.iter_any():  # not readline: it bounds the length of a line
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield _object(line)


def _object(content: bytes) -> Json:
    """Read an answer; the health endpoints answer plain text, returned as `{"text": ...}`."""
    try:
        value = json.loads(content)
    except ValueError:
        return {"text": content.decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"text": str(value)}


def _api_error(status: int, content: bytes) -> ApiError:
    answer = _object(content)
    message = str(answer.get("message") or answer.get("text") or "no message")
    return ApiError(status, str(answer.get("reason") or "Unknown"), message)
