"""`cliproxy support-bundle`: what somebody who helps needs to know, in one archive, without any secret.

Secrets are never read. What cannot be read otherwise is noted in `errors.txt`, and all else is collected.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from cliproxy_api.kinds import CUSTOM, EVENT, POD, Resource
from cliproxy_api.version import __version__
from cliproxy_api.vocabulary import API_GROUP
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.redact import redact, redact_text

MAX_LOG_LINES: Final = 2000
MAX_LOGS: Final = 20
"""Pods whose logs are taken, the least ready first."""
OPERATORS: Final = "app.kubernetes.io/part-of=cliproxy"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
README: Final = """What stands in here, without secrets: Secrets were not read; values of headers and of
containers' variables, arguments of applications, paths of receivers' addresses and whatever looks
like a key were replaced by [hidden]. Look through it all before you hand it on.
"""


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "support-bundle",
        run,
        summary="collect objects, status, events and logs in one archive, without secrets",
        forms=(),
        all_namespaces=True,
    )
    parser.add_argument("-f", "--file", metavar="FILE", help="the archive (cliproxy-support-TIME.tar.gz)")
    parser.add_argument(
        "--operator-namespace", metavar="NAME", help="where the operator runs (cliproxy-system)"
    )
    parser.add_argument("--no-logs", action="store_true", help="leave logs out")


def run(context: Context) -> int:
    """Write the archive."""
    stamp = context.now_utc().strftime("%Y%m%d-%H%M%S")
    path = Path(context.option("file") or f"cliproxy-support-{stamp}.tar.gz")
    bundle = Bundle(context)
    try:
        with path.open("xb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, content in bundle.parts():
                _add(archive, f"cliproxy-support-{stamp}/{name}", content)
    except FileExistsError:
        raise CommandFailed(f"{path} is there already", hint="choose another name with -f") from None
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    context.print(str(path))
    for problem in bundle.problems:
        context.note(f"left out: {problem}")
    return 0


class Bundle:
    """Collects the parts of one archive."""

    def __init__(self, context: Context) -> None:
        self.problems: list[str] = []
        self._context = context

    def parts(self) -> Iterator[tuple[str, str]]:
        """Return names and contents, all of them redacted."""
        context = self._context
        yield "README.txt", README
        yield "about.json", self._about()
        for resource in CUSTOM:
            yield f"{resource.plural}.yaml", self._objects(resource)
        pods = self._list("pods", lambda: context.kube.items(POD, context.namespace))
        yield "pods.yaml", _yaml(pods)
        yield "events.yaml", self._events()
        operators = self._list("operator pods", self._operators)
        yield "operator-pods.yaml", _yaml(operators)
        if not context.option("no_logs"):
            for pod in [*operators, *sorted(pods, key=_is_ready)][:MAX_LOGS]:
                yield from self._logs(pod)
        yield "errors.txt", redact_text("\n".join(self.problems))

    def _about(self) -> str:
        context = self._context
        about = {
            "cli": __version__,
            "taken_at": context.now_utc().isoformat(),
            "namespace": context.namespace or "(all)",
            "server": self._try("server version", lambda: context.kube.get("/version")),
            "crds": self._list("CRDs", self._crds),
        }
        return json.dumps(redact(about), indent=2)

    def _crds(self) -> list[Any]:
        items = self._context.kube.get(CRDS).get("items") or []
        return [
            {
                "name": one["metadata"]["name"],
                "versions": [version["name"] for version in one["spec"]["versions"]],
                "created": one["metadata"].get("creationTimestamp"),
            }
            for one in items
            if one["spec"]["group"] == API_GROUP
        ]

    def _objects(self, resource: Resource) -> str:
        context = self._context
        return _yaml(self._list(resource.plural, lambda: context.kube.items(resource, context.namespace)))

    def _events(self) -> str:
        context = self._context
        found = self._list("events", lambda: context.kube.items(EVENT, context.namespace))
        ours = {one.kind for one in CUSTOM}
        about = [
            one
            for one in found
            if (one.get("involvedObject") or one.get("regarding") or {}).get("kind") in ours
        ]
        return _yaml(about)

    def _operators(self) -> list[Any]:
        context = self._context
        namespace = context.option("operator_namespace", "cliproxy-system")
        return (
            context.kube.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=OPERATORS).get("items")
            or []
        )

    def _logs(self, pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        spec = pod.get("spec") or {}
        for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
            if "cliproxy" not in f"{container.get('name')} {container.get('image')}":
                continue  # an application's log is the application's
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
            params = {"container": str(container["name"]), "tailLines": str(MAX_LOG_LINES)}
            text = self._try(f"log of {namespace}/{name}", partial(self._context.kube.text, path, **params))
            if text:
                yield f"logs/{namespace}/{name}/{container['name']}.log", redact_text(str(text))

    def _list(self, what: str, read: Callable[[], list[Any]]) -> list[Any]:
        found = self._try(what, read)
        return found if isinstance(found, list) else []

    def _try(self, what: str, read: Callable[[], Any]) -> Any:
        """Return what can be read; else note why not, and go on."""
        try:
            return read()
        except CommandFailed as failure:
            self.problems.append(f"{what}: {failure}")
            return None


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _yaml(objects: list[Any]) -> str:
    return yaml.safe_dump_all(redact(objects), sort_keys=False, allow_unicode=True) if objects else "# none\n"


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))
