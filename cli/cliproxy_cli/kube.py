"""Talks to the API server, one call at a time; every refusal becomes a sentence that says what to do.

Paths and objects are plain strings and dicts; where they are is `cliproxy_api.kinds`'s.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

from cliproxy_api.kinds import Resource
from cliproxy_api.kubeconfig import Endpoint, KubeconfigError, tls_settings
from cliproxy_api.version import __version__
from cliproxy_api.vocabulary import API_GROUP
from cliproxy_cli.failures import CommandFailed

Json = dict[str, Any]
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""JSON is YAML, so a JSON body is fine."""
TIMEOUT_S: Final = 30.0
PAGE: Final = 500
MAX_PAGES: Final = 200


class Refused(CommandFailed):
    """The API server said no; `status` is HTTP's, `reason` Kubernetes' word such as NotFound."""

    def __init__(self, status: int, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class Kube:
    """One API server."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises `CommandFailed` if the endpoint's certificates are none."""
        self.endpoint = endpoint
        self._timeout_s = timeout_s
        try:
            tls = tls_settings(endpoint)
        except KubeconfigError as error:
            raise CommandFailed(str(error)) from None
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        host = urllib.parse.urlsplit(endpoint.server).hostname or ""
        if host == "localhost" or host.startswith("127.") or host == "::1":
            handlers.append(urllib.request.ProxyHandler({}))  # as kubectl: a proxy is no way to oneself
        if tls is not None:
            handlers.append(_Https(tls, endpoint.tls_server_name))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, **params: str) -> Json:
        """Read one object or one page of a list."""
        return self.request("GET", path, params=params)

    def text(self, path: str, **params: str) -> str:
        """Read what is no object, such as a log."""
        return self._send("GET", path, params=params).decode("utf-8", "replace")

    def items(self, resource: Resource, namespace: str | None, **params: str) -> list[Json]:
        """Return all objects of a kind, of one namespace or of all (None), page by page."""
        found: list[Json] = []
        if resource.selector:
            params.setdefault("labelSelector", resource.selector)
        more = ""
        for _ in range(MAX_PAGES):
            page = self.get(
                resource.path(namespace), limit=str(PAGE), **params, **({"continue": more} if more else {})
            )
            found += page.get("items") or []
            more = str((page.get("metadata") or {}).get("continue") or "")
            if not more:
                return found
        raise CommandFailed(f"more than {MAX_PAGES * PAGE} {resource.plural}; choose a namespace with -n")

    def create(self, path: str, body: Json) -> Json:
        """Create an object in the collection at `path`."""
        return self.request("POST", path, body=body)

    def merge_patch(self, path: str, body: Json, **params: str) -> Json:
        """Merge `body` into the object at `path`."""
        return self.request("PATCH", path, body=body, params=params, content_type=MERGE_PATCH)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = False) -> Json:
        """Server-side apply `body` at `path` under the field manager `manager`."""
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        return self.request("PATCH", path, body=body, params=params, content_type=APPLY_PATCH)

    def delete(self, path: str) -> Json:
        """Delete the object at `path`."""
        return self.request("DELETE", path)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send one request.

        Raises:
            Refused: the API server said no.
            CommandFailed: there was no answer, or none that can be read.

        """
        return _object(self._send(method, path, body=body, params=params, content_type=content_type))

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        url = self.endpoint.server + path + (f"?{urllib.parse.urlencode(params)}" if params else "")
        request = urllib.request.Request(url, method=method)  # noqa: S310 -- the kubeconfig's own address
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", f"cliproxy-cli/{__version__}")
        if self.endpoint.token:
            # unredirected, so that a proxy between never gets it on CONNECT
            request.add_unredirected_header("Authorization", f"Bearer {self.endpoint.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", content_type)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                content: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(error.code, error.read(), path) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        return content

    def _unreachable(self, error: Exception) -> CommandFailed:
        reason = getattr(error, "reason", None) or error
        return CommandFailed(
            f"the API server {self.endpoint.server} does not answer: {reason}",
            hint=f"is context {self.endpoint.context!r} the right one? `kubectl cluster-info` should work",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An API server sends nobody elsewhere; a token must not follow."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Https(urllib.request.HTTPSHandler):
    """TLS under another name than the address's, as `tls-server-name` asks for."""

    def __init__(self, settings: Any, server_name: str) -> None:
        super().__init__(context=settings)
        if server_name:
            wrap = settings.wrap_socket
            settings.wrap_socket = lambda sock, server_hostname=None, **more: wrap(  # noqa: ARG005
                sock, server_hostname=server_name, **more
            )


def refusal(status: int, content: bytes, path: str) -> Refused:
    """Return the API server's refusal in words, with what helps."""
    answer = _object(content)
    message = str(answer.get("message") or answer.get("text") or f"HTTP {status}")[:2000]
    reason = str(answer.get("reason") or "")
    hint = ""
    if status == 401:  # noqa: PLR2004 -- HTTP's own
        message, hint = (
            "the API server does not accept these credentials",
            "log in again; `kubectl auth whoami`",
        )
    elif status == 403:  # noqa: PLR2004
        hint = "ask for the right named above, or look at one namespace with -n"
    elif status == 404 and path.startswith(f"/apis/{API_GROUP}/") and not answer.get("details"):  # noqa: PLR2004
        reason = "NoCRDs"
        message = f"the API server does not know {API_GROUP}: the CRDs are not installed"
        hint = "install the chart, or `kubectl apply -f crds/`"
    return Refused(status, reason, message, hint=hint)


def _object(content: bytes) -> Json:
    try:
        value = json.loads(content)
    except ValueError:
        return {"text": content.decode("utf-8", "replace").strip()}
    return value if isinstance(value, dict) else {"text": str(value)}
