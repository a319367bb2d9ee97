"""`cliproxy restore FILE`: objects, Secrets and run-time state back into a cluster, and what became of each.

What is done to an object is `backup.plan`'s decision; here it is carried out, one object after the other, and
a failure of one leaves the others alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cliproxy_api.kinds import NAMESPACE, SECRET, Resource
from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_cli.backup.content import KINDS, Content, Entry, SecretEntry
from cliproxy_cli.backup.judge import missing_secrets
from cliproxy_cli.backup.plan import Did, State, Step, plan_object, plan_secret
from cliproxy_cli.commands.backup import add_key_options, find_key, open_backup
from cliproxy_cli.context import Context
from cliproxy_cli.failures import FAILED, CommandFailed
from cliproxy_cli.kube import MERGE_PATCH, Refused
from cliproxy_cli.output import Cell, Colour
from cliproxy_cli.parser import Subparsers, add_command

MANAGER: Final = "cliproxy-restore"
NOT_FOUND: Final = 404
CONFLICT: Final = 409
COLOURS: Final = {
    Did.CREATED: Colour.GREEN,
    Did.REPLACED: Colour.YELLOW,
    Did.KEPT: Colour.YELLOW,
    Did.FAILED: Colour.RED,
}
_RESOURCES: Final = {resource.kind: resource for resource in KINDS}


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "restore",
        run,
        summary="bring a backup back: objects, run-time state, Secrets",
        description="Bring a backup back: objects, run-time state that has not expired, Secrets if any.\n"
        "What is newer in the cluster stays, unless --force. Doing it twice changes nothing more.\n"
        "All namespaces of the backup are restored, or with -n that one.",
    )
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument(
        "--dry-run", action="store_true", help="the API server judges it all; nothing changes"
    )
    parser.add_argument("--force", action="store_true", help="write the backup's version over a newer one")
    parser.add_argument(
        "--no-state", action="store_true", help="leave cooldowns, quotas, budgets and alerts out"
    )
    parser.add_argument("--no-secrets", action="store_true", help="leave the Secrets out")
    parser.add_argument("--create-namespaces", action="store_true", help="make namespaces that are missing")
    parser.add_argument(
        "--only", action="append", metavar="KIND/NAME", help="this object only; may be given again"
    )
    add_key_options(parser)


def run(context: Context) -> int:
    """Restore; 1 if any object could not be."""
    path = Path(context.option("file"))
    content = _chosen(context, open_backup(path, find_key(context)))
    if context.option("create_namespaces"):
        _make_namespaces(context, content)
    steps = list(_steps(context, content))
    done = [_carry_out(context, step) for step in steps]
    _tell(context, content, done)
    return FAILED if any(step.did is Did.FAILED for step in done) else 0


def _chosen(context: Context, content: Content) -> Content:
    """Return the part of a backup that is asked for.

    Raises:
        CommandFailed: what is asked for is not in it.

    """
    namespace = str(context.option("namespace", ""))
    wanted = [str(name).lower() for name in context.option("only", [])]
    entries = [one for one in content.objects if namespace in ("", one.namespace)]
    held = [one for one in content.secrets if namespace in ("", one.namespace)]
    if context.option("no_secrets"):
        held = []
    if wanted:
        known = {f"{one.kind}/{one.name}".lower() for one in [*entries]} | {
            f"secret/{one.name}" for one in held
        }
        if missing := sorted(set(wanted) - known):
            raise CommandFailed(
                f"not in the backup: {', '.join(missing)}", hint="`cliproxy backup verify FILE` lists what is"
            )
        entries = [one for one in entries if f"{one.kind}/{one.name}".lower() in wanted]
        held = [one for one in held if f"secret/{one.name}" in wanted]
    if not entries and not held:
        raise CommandFailed(
            "the backup holds nothing of that", hint="`cliproxy backup verify FILE` lists what is"
        )
    order = {resource.kind: place for place, resource in enumerate(KINDS)}
    entries.sort(key=lambda one: (order.get(one.kind, len(order)), one.namespace, one.name))
    return Content(
        id=content.id,
        taken_at=content.taken_at,
        scope=content.scope,
        objects=tuple(entries),
        secrets=tuple(held),
    )


def _steps(context: Context, content: Content) -> Iterator[Step]:
    """Yield what is to be done, Secrets first: objects that name them shall not be refused for a moment."""
    force = bool(context.option("force"))
    for secret in content.secrets:
        yield plan_secret(secret, _live(context, SECRET, secret), force=force)
    for entry in content.objects:
        if (resource := _RESOURCES.get(entry.kind)) is None:
            yield Step(entry=entry, did=Did.FAILED, notes=(f"kind {entry.kind!r} is none of ours",))
            continue
        yield plan_object(
            entry,
            _live(context, resource, entry),
            content,
            context.now_utc(),
            force=force,
            with_state=not context.option("no_state"),
        )


def _live(context: Context, resource: Resource, entry: Entry | SecretEntry) -> dict[str, Any] | None:
    try:
        return context.kube.get(resource.path(entry.namespace, entry.name))
    except Refused as refused:
        if refused.status != NOT_FOUND or refused.reason == "NoCRDs":
            raise
        return None


def _carry_out(context: Context, step: Step) -> Step:
    """Do it; what the API server refuses becomes part of the report."""
    resource = SECRET if isinstance(step.entry, SecretEntry) else _RESOURCES.get(step.entry.kind)
    if resource is None:
        return step
    params = {"fieldManager": MANAGER, **({"dryRun": "All"} if context.option("dry_run") else {})}
    own = resource.path(step.entry.namespace, step.entry.name)
    try:
        if step.create is not None:
            path = resource.path(step.entry.namespace)
            context.kube.request("POST", path, body=step.create, params=params)
        elif step.replace is not None:
            context.kube.request("PUT", own, body=step.replace, params=params)
        elif step.annotate is not None:
            body = {"metadata": {"annotations": {RESTORE_ANNOTATION: step.annotate}}}
            context.kube.request("PATCH", own, body=body, params=params, content_type=MERGE_PATCH)
    except CommandFailed as failure:
        why = str(failure)
        status = failure.status if isinstance(failure, Refused) else 0
        if status == CONFLICT:
            why += "; it has changed this very moment: run the same command again"
        elif status == NOT_FOUND:
            why += f"; is there no namespace {step.entry.namespace}? --create-namespaces makes it"
        return replace(step, did=Did.FAILED, state=State.NONE, notes=(why, *step.notes))
    return step


def _make_namespaces(context: Context, content: Content) -> None:
    names = {one.namespace for one in content.objects} | {one.namespace for one in content.secrets}
    params = {"dryRun": "All"} if context.option("dry_run") else {}
    for name in sorted(names):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            context.kube.request("POST", NAMESPACE.path(), body=body, params=params)
        except Refused as refused:
            if refused.status != CONFLICT:
                raise
        else:
            context.note(f"namespace {name} {'would be ' if params else ''}created")


def _tell(context: Context, content: Content, done: list[Step]) -> None:
    if context.form != "table":
        context.dump([_view(step) for step in done])
    else:
        rows = [
            [
                view["kind"],
                view["object"],
                Cell(view["did"], COLOURS.get(step.did, Colour.PLAIN)),
                view["state"],
                "; ".join(view["notes"]),
            ]
            for step in done
            for view in [_view(step)]
        ]
        context.table(["KIND", "OBJECT", "DID", "STATE", "NOTES"], rows)
    if context.option("dry_run"):
        context.note("dry run: nothing was changed")
    if missing := missing_secrets(content, content.objects):
        context.note(f"named by these objects and not in the backup: Secrets {', '.join(missing)}")
    if any(step.did is Did.KEPT for step in done):
        context.note("kept: the cluster's version is newer; --force writes the backup's over it")


def _view(step: Step) -> dict[str, Any]:
    kind = "Secret" if isinstance(step.entry, SecretEntry) else step.entry.kind
    return {
        "kind": kind,
        "object": f"{step.entry.namespace}/{step.entry.name}",
        "did": step.did.value,
        "state": step.state.value,
        "notes": list(step.notes),
    }
