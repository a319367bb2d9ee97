"""`cliproxy explain`: why a request went where it went: the sidecar that served it still remembers.

Which sidecar that was is asked of each in turn; the sentences are the sidecar's own.
"""

import urllib.parse
from typing import Any, Final

from cliproxy_api.kinds import POD
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed
from cliproxy_cli.output import Cell, Colour, Row, paint
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.sidecarlink import TOKEN, URL, ask, forwarded, given_url

MAX_PODS: Final = 50
"""Asked in turn; a larger fleet wants --pod."""


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
    told, asked = None, 0
    if url := given_url(context, context.environment):
        told, asked = ask(url, path, token=token), 1
    else:
        for pod in _pods(context):
            asked += 1
            with forwarded(context, pod) as url:
                told = ask(url, path)
            if told is not None:
                break
    if told is None:
        raise CommandFailed(
            f"no request {request!r} is known to {asked} sidecar{'' if asked == 1 else 's'}",
            hint="each remembers its last 1,000; take the id from the answer's x-request-id",
        )
    if context.form == "table":
        _print(context, told)
    else:
        context.dump(told)
    return 0


def _pods(context: Context) -> list[str]:
    if pod := context.option("pod"):
        return [pod]
    pods = [str(one["metadata"]["name"]) for one in context.kube.items(POD, context.own_namespace)]
    if not pods:
        raise CommandFailed(
            f"no pods with a sidecar in namespace {context.own_namespace}", hint="choose another with -n"
        )
    if len(pods) > MAX_PODS:
        raise CommandFailed(
            f"{len(pods)} pods have a sidecar here", hint="name the one that served it: --pod POD"
        )
    return pods


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
