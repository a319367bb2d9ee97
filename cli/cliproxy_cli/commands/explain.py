"""`cliproxy explain`: why a request went where it went: the sidecar that served it still remembers.

Which sidecar that was is asked of each in turn; the sentences are the sidecar's own.
"""

import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from cliproxy_api.kinds import POD
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed
from cliproxy_cli.output import Cell, Colour, Row, paint
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.sidecarlink import TOKEN, URL, ask, find_kubectl, forwarded, given_url, proxy_port

MAX_PODS: Final = 50
"""Asked in turn; a larger fleet wants --pod."""
RUNNING: Final = "Running"


@dataclass
class Asked:
    """What came of asking."""

    told: dict[str, Any] | None = None
    sidecars: int = 0
    """That answered."""
    left_out: list[str] = field(default_factory=list)
    """Pods that could not be asked, and why."""


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "explain",
        run,
        summary="why a request went where it went",
        description="Why a request went where it went: who was chosen and by what, who was passed over,\n"
        "what each attempt came to. Each sidecar remembers its last 1,000 requests. The namespace's\n"
        f"sidecars are asked through `kubectl port-forward`, or one by --url ({URL}), with {TOKEN} at\n"
        "a gateway.",
    )
    parser.add_argument("request", metavar="REQUEST", help="the answer's x-request-id")
    parser.add_argument("--url", metavar="URL", help="a sidecar's address, such as http://127.0.0.1:8317")
    parser.add_argument("--pod", metavar="POD", help="ask this pod's sidecar only")


def run(context: Context) -> int:
    """Find the request and print what its sidecar says of it."""
    request = context.options.request
    path = f"/v0/operations/requests/{urllib.parse.quote(request, safe='')}/explain"
    token = context.environment.get(TOKEN, "")
    if url := given_url(context, context.environment):
        asked = Asked(told=ask(url, path, token=token), sidecars=1)
    else:
        asked = _ask_each(context, path)
    for reason in asked.left_out:
        context.note(f"not asked: {reason}")
    if asked.told is None:
        raise _unknown(request, asked)
    if context.form == "table":
        _print(context, asked.told)
    else:
        context.dump(asked.told)
    return 0


def _ask_each(context: Context, path: str) -> Asked:
    """Ask the pods in turn until one knows; one that cannot be asked keeps nobody from asking the next."""
    asked, kubectl, pods = Asked(), find_kubectl(context), _pods(context)
    running = [pod for pod in pods if _phase(pod) == RUNNING]
    if len(running) > MAX_PODS:
        raise CommandFailed(
            f"{len(running)} pods have a sidecar here", hint="name the one that served it: --pod POD"
        )
    if others := Counter(_phase(pod) for pod in pods if _phase(pod) != RUNNING):
        phases = ", ".join(f"{count} {phase}" for phase, count in sorted(others.items()))
        asked.left_out.append(f"pods that do not run: {phases}")
    for pod in running:
        name = str(pod["metadata"]["name"])
        try:
            with forwarded(context, kubectl, name, proxy_port(pod)) as url:
                asked.told = ask(url, path)
        except CommandFailed as failure:
            asked.left_out.append(f"pod {name}: {failure}")
            continue
        asked.sidecars += 1
        if asked.told is not None:
            break
    return asked


def _unknown(request: str, asked: Asked) -> CommandFailed:
    if asked.left_out and not asked.sidecars:
        return CommandFailed("no sidecar could be asked", hint="choose another namespace with -n, or --pod")
    return CommandFailed(
        f"no request {request!r} is known to {asked.sidecars} sidecar{'' if asked.sidecars == 1 else 's'}"
        + ("; not all could be asked" if asked.left_out else ""),
        hint="each remembers its last 1,000; take the id from the answer's x-request-id",
    )


def _pods(context: Context) -> list[dict[str, Any]]:
    if pod := context.option("pod"):
        return [context.kube.get(POD.path(context.own_namespace, pod))]
    pods = context.kube.items(POD, context.own_namespace)
    if not pods:
        raise CommandFailed(
            f"no pods with a sidecar in namespace {context.own_namespace}", hint="choose another with -n"
        )
    return pods


def _phase(pod: dict[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase") or "Unknown")


def _print(context: Context, told: dict[str, Any]) -> None:
    def title(text: str) -> str:
        return paint(text, Colour.CYAN, colours=context.colours)

    ended = told["refused"] or told["status"]
    head = f"{told['request_id']}: {told['model']}, {ended}, {told['duration_ms']} ms"
    context.print(f"{head}, begun {told['started_at']}")
    context.print(f"strategy {told['strategy']}, affinity {told['affinity']}")
    for number, choice in enumerate(told["choices"], start=1):
        chosen = choice["chosen"]
        who = _name(chosen) if chosen else f"nobody: {choice['none_because']}"
        why = f" ({choice['because']})" if choice["because"] else ""
        context.print(f"\n{title(f'CHOICE {number}')} at {choice['at_ms']} ms: {who}{why}")
        _considered(context, choice)
    if told["attempts"]:
        context.print(f"\n{title('ATTEMPTS')}")
        context.table(
            ["TARGET", "OUTCOME", "STATUS", "CODE", "LATENCY"],
            [
                [
                    _name(one),
                    Cell(one["outcome"], Colour.GREEN if one["outcome"] == "Success" else Colour.RED),
                    str(one["status"] or ""),
                    str(one["code"] or ""),
                    f"{one['latency_ms']} ms",
                ]
                for one in told["attempts"]
            ],
            right=("LATENCY",),
        )


def _considered(context: Context, choice: dict[str, Any]) -> None:
    unit = choice["compared_in"] or ""
    rows: list[Row] = [
        [
            _name(one),
            Cell("candidate", Colour.GREEN if one["equally_good"] else Colour.PLAIN),
            "" if one["value"] is None else f"{one['value']:g} {unit}".strip(),
        ]
        for one in choice["candidates"]
    ]
    rows += [
        [
            _name(one),
            Cell(one["why"], Colour.YELLOW),
            "; ".join(str(word) for word in (one["because"], one["reason"], one["until"]) if word),
        ]
        for one in choice["skipped"]
    ]
    if rows:
        context.table(["TARGET", "STANDING", "DETAIL"], rows)
    if choice["more_skipped"]:
        context.print(f"and {choice['more_skipped']} more passed over")


def _name(target: dict[str, Any]) -> str:
    return f"{target['provider']}/{target['credential']}/{target['upstream_model']}"
