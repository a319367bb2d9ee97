"""Reaches one sidecar's operations API: by a URL, or through `kubectl port-forward` into its pod.

An injected sidecar listens on its pod's loopback address only, so nothing but a port-forward gets there; what
comes through one is of the pod's own machine, and is let in without a key.
"""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cliproxy_api.vocabulary import PROXY_PORT
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed

TIMEOUT_S: Final = 10.0
URL: Final = "CLIPROXY_URL"
TOKEN: Final = "CLIPROXY_TOKEN"  # noqa: S105 -- a variable's name
_FORWARDING: Final = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ->")
_LINES: Final = 10
_PORT_NAME: Final = "cliproxy-proxy"
"""Of the container's port, in injected pods and in the chart's gateway."""
NOT_FOUND: Final = 404


def ask(url: str, path: str, *, token: str = "") -> Any:
    """Return what the sidecar at a URL answers, None if it does not know what was asked for.

    Raises:
        CommandFailed: it cannot be reached, refuses, or is no sidecar.

    """
    if not url.startswith(("http://", "https://")):
        raise CommandFailed(f"{url!r} is no URL", hint="such as http://127.0.0.1:8317")
    request = urllib.request.Request(url.rstrip("/") + path)  # noqa: S310 -- http or https, as the person says
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=TIMEOUT_S
        ) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            if error.code == NOT_FOUND:
                return None
            hint = (
                f"set {TOKEN} to the key of a consumer with admin: true" if error.code in {401, 403} else ""
            )
            raise CommandFailed(f"{url} answers {error.code}", hint=hint) from None
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{url} cannot be asked: {getattr(error, 'reason', None) or error}") from None


def find_kubectl(context: Context) -> str:
    """Return the path of the person's kubectl. Raises `CommandFailed` if there is none."""
    kubectl = shutil.which("kubectl", path=context.environment.get("PATH"))
    if kubectl is None:
        raise CommandFailed("kubectl is not on the PATH", hint=f"or give --url URL, or set {URL}")
    return kubectl


def proxy_port(pod: Mapping[str, Any]) -> int:
    """Return where a pod's sidecar listens to callers, as its container says."""
    spec = pod.get("spec") or {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for port in container.get("ports") or []:
            if port.get("name") == _PORT_NAME:
                return int(port["containerPort"])
    return PROXY_PORT


@contextlib.contextmanager
def forwarded(context: Context, kubectl: str, pod: str, port: int) -> Iterator[str]:
    """Yield a URL that leads into a pod's sidecar, through `kubectl port-forward`, which ends with the block.

    Raises:
        CommandFailed: kubectl cannot forward; in its words.

    """
    words = [kubectl, "port-forward", f"pod/{pod}", f":{port}", "-n", context.own_namespace]
    for name in ("kubeconfig", "context"):
        if value := context.option(name):
            words += [f"--{name}", value]
    # The person's own kubectl, with the arguments above.
    process = subprocess.Popen(  # noqa: S603
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(context.environment),
    )
    try:
        yield f"http://{_address(process)}"
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()


def _address(process: "subprocess.Popen[str]") -> str:
    said = []
    for _ in range(_LINES):
        line = process.stdout.readline() if process.stdout is not None else ""
        if found := _FORWARDING.search(line):
            return found[1]
        if not line:
            break
        said.append(line.strip())
    raise CommandFailed(f"kubectl cannot forward: {' '.join(said)[:500] or 'it says nothing'}")


def given_url(context: Context, environment: Mapping[str, str]) -> str:
    """Return the URL of --url or the variable; "" if there is none."""
    return str(context.option("url") or environment.get(URL, ""))
