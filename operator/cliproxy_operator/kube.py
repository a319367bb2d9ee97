"""Calls to the API server: one aiohttp session of the main loop, bounded in connections and time.

Every failure becomes an `ApiError`; who tries again, and when, is left to the callers. Writes are counted.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from cliproxy_api.kinds import NoName
from cliproxy_operator.kinds import Resource
from cliproxy_operator.kubeconfig import Access, open_session
from cliproxy_operator.metrics import Metrics

FIELD_MANAGER: Final = "cliproxy-operator"
CONNECTIONS: Final = 32
"""Calls at once; the API server's fairness queues the rest anyway."""
CALL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 3.0
LIST_TIMEOUT_S: Final = 60.0
"""For a page, at most: an API server answers no later."""
WATCH_S: Final = 240
"""How long the API server keeps a watch of ours open."""
SILENCE_S: Final = 30.0
"""A watch without a line for this long is given up: nobody may be at the other end any more."""
PAGE_OBJECTS: Final = 500

APPLY_PATCH: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_LOW_RETRY_STATUS: Final = 500


class ApiError(Exception):
    """A call that was not answered with success; `status` 0: no answer at all."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later without anybody's doing."""
        return self.status in (0, 409, 429) or self.status >= _LOW_RETRY_STATUS

    @property
    def away(self) -> bool:
        """Whether this says that the API server cannot be reached, rather than that it refuses."""
        return self.status in (0, 429) or self.status >= _LOW_RETRY_STATUS


class Kube:
    """The operator's client."""

    def __init__(self, access: Access, metrics: Metrics) -> None:
        """Open the session; must run inside the loop that will use it."""
        self._server = access.server
        self._session = open_session(access, connections=CONNECTIONS)
        self._metrics = metrics

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        fields: str = "",
        metadata_only: bool = False,
        timeout_s: float = LIST_TIMEOUT_S,
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind (in a namespace), page by page; large ones by their metadata alone.

        `fields` is a field selector, `timeout_s` is for each page.

        Raises:
            ApiError: also 410 when the list was so slow that its continuation has gone.

        """
        items: list[dict[str, Any]] = []
        params = {"limit": str(PAGE_OBJECTS)}
        if resource.selector:
            params["labelSelector"] = resource.selector
        if fields:
            params["fieldSelector"] = fields
        while True:
            page = await self._call(
                "GET",
                _path(resource, namespace),
                params=params,
                accept=METADATA_LIST if metadata_only else JSON,
                timeout_s=timeout_s,
            )
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items
            params = {**params, "continue": token}

    async def server_version(self) -> tuple[int, int]:
        """Return the API server's major and minor version.

        Raises:
            ApiError: also when the answer cannot be read.

        """
        answer = await self._call("GET", "/version")
        words = [str(answer.get(part) or "").rstrip("+") for part in ("major", "minor")]
        if not all(word.isdecimal() for word in words):
            raise ApiError(0, "NoVersion", f"the API server's version is {words}")
        return int(words[0]), int(words[1])

    async def may_list(self, resource: Resource, namespace: str | None) -> None:
        """Look at a collection and read at most one object.

        Raises:
            ApiError: also when it is not there, or not for us.

        """
        await self._call("GET", _path(resource, namespace), params={"limit": "1"})

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server knows a kind of an API group; everybody may ask.

        While it starts, a group may be there and not be listed yet; who looks for groups would not find it.
        """
        groups = (await self._call("GET", "/apis")).get("groups") or ()
        if not any(one.get("name") == resource.group for one in groups):
            return False
        try:
            answer = await self._call("GET", f"/apis/{resource.group}/{resource.version}")
        except ApiError as error:
            if error.status == 404:  # noqa: PLR2004 -- HTTP's own number
                return False
            raise
        return any(one.get("name") == resource.plural for one in answer.get("resources") or ())

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return one object, None if it is not there."""
        try:
            return await self._call("GET", _path(resource, namespace, name))
        except ApiError as error:
            if error.status == 404:  # noqa: PLR2004 -- HTTP's own number
                return None
            raise

    async def watch(
        self, resource: Resource, namespace: str, name: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield one object as it is, and each time it changes (`type`, `object`); ends when nothing comes.

        Raises:
            ApiError: it cannot be watched, or the connection broke.

        """
        params = {"watch": "1", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": str(WATCH_S)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
        url = self._server + _path(resource, namespace)
        try:
            async with self._session.get(
                url, params=params, headers={"Accept": JSON}, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status >= 300:  # noqa: PLR2004 -- HTTP's own number
                    raise _refused(response.status, await response.read())
                while line := await response.content.readline():
                    yield _object(line)
        except TimeoutError:
            return
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a line is too long
            self._metrics.api_errors.labels("WATCH", type(error).__name__).inc()
            raise ApiError(0, type(error).__name__, str(error)) from None

    async def apply_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any], *, version: str
    ) -> dict[str, Any]:
        """Make `status` what our field manager owns of the object's status; returns the object.

        Server-side apply with force: nobody else writes our fields, and a copied manifest must not block us.
        Only over this `version` of the object: what a leader decided before it was stopped must not replace
        what its successor has written since (409).
        """
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
            "status": status,
        }
        answer = await self._call(
            "PATCH",
            _path(resource, namespace, name, "status"),
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=body,
            content_type=APPLY_PATCH,
        )
        self._wrote(resource, "apply_status")
        return answer

    async def apply(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], *, manager: str
    ) -> dict[str, Any]:
        """Make `body` what `manager` owns of the object, which is created if need be; returns the object.

        A `resourceVersion` in its metadata gives a 409 if the object has changed since.
        """
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        whole["metadata"] = {**body.get("metadata", {}), "name": name, "namespace": namespace}
        answer = await self._call(
            "PATCH",
            _path(resource, namespace, name),
            params={"fieldManager": manager, "force": "true"},
            body=whole,
            content_type=APPLY_PATCH,
        )
        self._wrote(resource, "apply")
        return answer

    async def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        """Delete an object; False if it is not there."""
        try:
            await self._call("DELETE", _path(resource, namespace, name))
        except ApiError as error:
            if error.status == 404:  # noqa: PLR2004 -- HTTP's own number
                return False
            raise
        self._wrote(resource, "delete")
        return True

    async def patch_metadata(
        self, resource: Resource, namespace: str, name: str, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge `metadata` into the object's; with a `resourceVersion` in it a changed object gives a 409."""
        answer = await self._call(
            "PATCH",
            _path(resource, namespace, name),
            params={"fieldManager": FIELD_MANAGER},
            body={"metadata": metadata},
            content_type=MERGE_PATCH,
        )
        self._wrote(resource, "patch")
        return answer

    async def patch_json(
        self, resource: Resource, namespace: str | None, name: str, patch: Sequence[Mapping[str, Any]]
    ) -> None:
        """Apply a JSON patch; a failed test in it is a 422."""
        await self._call(
            "PATCH",
            _path(resource, namespace, name),
            params={"fieldManager": FIELD_MANAGER},
            body=patch,
            content_type=JSON_PATCH,
        )
        self._wrote(resource, "patch")

    async def create(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Create an object."""
        answer = await self._call(
            "POST", _path(resource, namespace), params={"fieldManager": FIELD_MANAGER}, body=body
        )
        self._wrote(resource, "create")
        return answer

    async def replace(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace an object; the `resourceVersion` in it makes this a compare-and-swap."""
        answer = await self._call(
            "PUT", _path(resource, namespace, name), params={"fieldManager": FIELD_MANAGER}, body=body
        )
        self._wrote(resource, "update")
        return answer

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST a review (TokenReview, SubjectAccessReview): a question, not a write."""
        return await self._call("POST", path, body=body)

    def _wrote(self, resource: Resource, verb: str) -> None:
        self._metrics.api_writes.labels(resource.kind, verb).inc()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = "application/json",
        accept: str = JSON,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> dict[str, Any]:
        headers = {"Accept": accept}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = content_type
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            async with self._session.request(
                method,
                self._server + path,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            self._metrics.api_errors.labels(method, type(error).__name__).inc()
            raise ApiError(0, type(error).__name__, str(error) or "no answer in time") from None
        if status < 300:  # noqa: PLR2004 -- HTTP's own number
            return _object(content)
        refusal = _refused(status, content)
        if status not in (404, 409):
            self._metrics.api_errors.labels(method, refusal.reason[:40]).inc()
        raise refusal


def _path(resource: Resource, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
    """Return the path; what has no name that can be asked for is not there, and nothing is sent."""
    try:
        return resource.path(namespace, name, sub)
    except NoName as error:
        raise ApiError(HTTPStatus.NOT_FOUND, "NoName", str(error)) from None


def _object(content: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(0, "NotJSON", str(error)) from None
    if not isinstance(decoded, dict):
        raise ApiError(0, "NotJSON", "the answer is no object")
    return decoded


def _refused(status: int, content: bytes) -> ApiError:
    try:
        words = msgspec.json.decode(content)
        return ApiError(status, str(words.get("reason") or "Unknown"), str(words.get("message") or "")[:1000])
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return ApiError(status, "Unknown", content[:200].decode("utf-8", "replace"))
