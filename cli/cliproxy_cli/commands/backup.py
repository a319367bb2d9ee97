"""`cliproxy backup create|verify|list|prune`: writes backups, checks them, and makes room for the next."""

import argparse
import secrets
from pathlib import Path
from typing import Any, Final

from cliproxy_api.kinds import SECRET
from cliproxy_cli.backup import shelf
from cliproxy_cli.backup.content import (
    EVERYWHERE,
    KINDS,
    Content,
    SecretEntry,
    entry_of,
    instant_of,
    named_secrets,
    secret_of,
)
from cliproxy_cli.backup.envelope import pack, unpack
from cliproxy_cli.backup.faults import BackupFault
from cliproxy_cli.backup.judge import Verdict, judge, missing_secrets
from cliproxy_cli.backup.sealing import Key, key_file, passphrase
from cliproxy_cli.context import Context
from cliproxy_cli.failures import FAILED, CommandFailed
from cliproxy_cli.kube import Refused
from cliproxy_cli.output import Cell, Colour, Row
from cliproxy_cli.parser import Subparsers, add_command

NOT_FOUND: Final = 404
MAX_KEEP: Final = 10_000


def register(subparsers: Subparsers) -> None:
    """Add the command and its four parts."""
    parser = subparsers.add_parser(
        "backup",
        help="back up objects, run-time state and Secrets; look after the files",
        description="Back up objects, their run-time state and, sealed, the Secrets they name. "
        "`cliproxy restore` brings them back.",
    )
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = add_command(
        parts,
        "create",
        run_create,
        summary="write a backup of a namespace, or of all (-A)",
        forms=(),
        all_namespaces=True,
    )
    create.add_argument(
        "--output",
        dest="folder",
        metavar="DIR",
        required=True,
        help="folder for the new file; made if need be",
    )
    create.add_argument(
        "--include-secrets", action="store_true", help="also the Secrets that the objects name; needs a key"
    )
    create.add_argument(
        "--keep", type=_count, metavar="N", help="then remove all but the newest N of the same scope"
    )
    create.add_argument(
        "--allow-empty", action="store_true", help="write the file even if there is not one object"
    )
    add_key_options(create)
    verify = add_command(
        parts, "verify", run_verify, summary="check a file: whole, opens, valid; what it would restore now"
    )
    verify.add_argument("file", metavar="FILE", help="the backup")
    add_key_options(verify)
    listing = add_command(parts, "list", run_list, summary="list the backups of a folder")
    listing.add_argument("folder", metavar="DIR", help="the folder")
    prune = add_command(parts, "prune", run_prune, summary="remove all but the newest backups of each scope")
    prune.add_argument("folder", metavar="DIR", help="the folder")
    prune.add_argument(
        "--keep", type=_count, metavar="N", required=True, help="how many to keep of each scope"
    )
    prune.add_argument("--dry-run", action="store_true", help="only tell what would be removed")


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """Add the two ways to give a key."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--passphrase-file", metavar="FILE", help="seal or open with the passphrase in FILE")
    group.add_argument(
        "--key-file", metavar="FILE", help="seal or open with the key in FILE (openssl rand -base64 32)"
    )


def find_key(context: Context) -> Key | None:
    """Return the key that the options name, None if they name none.

    Raises:
        CommandFailed: its file cannot be read, or holds none.

    """
    for option, read in (("passphrase_file", _passphrase), ("key_file", key_file)):
        if (name := context.option(option)) is None:
            continue
        try:
            return read(Path(name).read_bytes())
        except OSError as error:
            raise CommandFailed(f"{name}: {error.strerror or error}") from None
        except BackupFault as fault:
            raise CommandFailed(f"{name}: {fault}", hint=fault.hint) from None
    return None


def open_backup(path: Path, key: Key | None) -> Content:
    """Return a file's inside.

    Raises:
        CommandFailed: it cannot be used; the message begins with its name.

    """
    content = shelf.read_file(path)
    try:
        return unpack(content, key)
    except BackupFault as fault:
        raise CommandFailed(f"{path}: {fault}", hint=fault.hint) from None


# --------------------------------------------------------------------- create
def run_create(context: Context) -> int:
    """Write one file, read it back, and only then make room."""
    key = find_key(context)
    wants_secrets = bool(context.option("include_secrets"))
    if wants_secrets and key is None:
        raise CommandFailed("--include-secrets needs a key", hint="give --passphrase-file or --key-file FILE")
    content = gather(context, wants_secrets=wants_secrets)
    if not content.objects and not context.option("allow_empty"):
        raise CommandFailed(
            f"there is not one object in {_where(content.scope)}: nothing was written and nothing removed",
            hint="look with `kubectl get llm -A`; --allow-empty writes the file all the same",
        )
    path = Path(context.option("folder")) / shelf.file_name(content)
    shelf.write_file(path, pack(content, key))
    if open_backup(path, key) != content:
        raise CommandFailed(f"{path}: reads back as something else; is the disk sound?")
    removed = _prune(context, path.parent, context.option("keep"), scope=content.scope)
    kind = "sealed" if key is not None else "not sealed"
    context.print(f"{path}: {len(content.objects)} objects, {len(content.secrets)} Secrets, {kind}")
    for name in removed:
        context.print(f"removed {name}")
    return 0


def gather(context: Context, *, wants_secrets: bool) -> Content:
    """Read everything that belongs into a backup of the chosen namespaces."""
    namespace = context.namespace
    entries = [
        entry_of(resource, raw) for resource in KINDS for raw in context.kube.items(resource, namespace)
    ]
    held = [_secret(context, *name) for name in named_secrets(entries)] if wants_secrets else []
    return Content(
        id=secrets.token_hex(8),
        taken_at=instant_of(context.now_utc()),
        scope=namespace or EVERYWHERE,
        objects=tuple(entries),
        secrets=tuple(one for one in held if one is not None),
    )


def _secret(context: Context, namespace: str, name: str) -> SecretEntry | None:
    try:
        return secret_of(context.kube.get(SECRET.path(namespace, name)))
    except Refused as refused:
        if refused.status != NOT_FOUND:
            raise
        context.note(f"Secret {namespace}/{name} is named by an object and does not exist: not in the backup")
        return None


# --------------------------------------------------------------------- verify
def run_verify(context: Context) -> int:
    """Check one file without touching any cluster; 1 if anything in it is wrong."""
    path = Path(context.option("file"))
    content = open_backup(path, find_key(context))
    now_utc = context.now_utc()
    verdicts = [judge(entry, now_utc) for entry in content.objects]
    missing = missing_secrets(content, content.objects)
    bad = any(one.problems for one in verdicts)
    if context.form != "table":
        context.dump(_verified(path, content, verdicts, missing))
        return FAILED if bad else 0
    rows: list[Row] = [
        [
            one.entry.kind,
            f"{one.entry.namespace}/{one.entry.name}",
            Cell("invalid", Colour.RED) if one.problems else Cell("valid", Colour.GREEN),
            ", ".join(one.state) or "-",
            "; ".join([*one.problems, *one.notes]),
        ]
        for one in verdicts
    ]
    context.table(["KIND", "OBJECT", "SCHEMA", "STATE", "NOTES"], rows)
    if missing:
        context.note(f"named by its objects and not in the backup: Secrets {', '.join(missing)}")
    context.note(
        f"{path}: intact, taken {content.taken_at} in {_where(content.scope)},"
        f" {len(content.objects)} objects, {len(content.secrets)} Secrets"
    )
    return FAILED if bad else 0


def _verified(path: Path, content: Content, verdicts: list[Verdict], missing: list[str]) -> dict[str, Any]:
    return {
        "file": str(path),
        "id": content.id,
        "takenAt": content.taken_at,
        "scope": content.scope,
        "valid": not any(one.problems for one in verdicts),
        "secrets": len(content.secrets),
        "missingSecrets": missing,
        "objects": [
            {
                "kind": one.entry.kind,
                "object": f"{one.entry.namespace}/{one.entry.name}",
                "problems": list(one.problems),
                "state": list(one.state),
                "notes": list(one.notes),
            }
            for one in verdicts
        ],
    }


# ----------------------------------------------------------------- list, prune
def run_list(context: Context) -> int:
    """List a folder; 1 if a file in it is damaged."""
    found = shelf.volumes(Path(context.option("folder")))
    if context.form != "table":
        context.dump([_listed(one) for one in found])
    else:
        rows: list[Row] = [
            [one.path.name, Cell("damaged", Colour.RED), "", "", "", one.fault]
            if one.header is None
            else [
                one.path.name,
                one.header.taken_at,
                one.header.scope,
                str(one.header.objects),
                str(one.header.secrets),
                "sealed" if one.header.encryption else "",
            ]
            for one in found
        ]
        context.table(
            ["FILE", "TAKEN", "SCOPE", "OBJECTS", "SECRETS", ""], rows, right=("OBJECTS", "SECRETS")
        )
    return FAILED if any(one.header is None for one in found) else 0


def _listed(one: shelf.Volume) -> dict[str, Any]:
    if one.header is None:
        return {"file": str(one.path), "fault": one.fault}
    return {
        "file": str(one.path),
        "id": one.header.id,
        "takenAt": one.header.taken_at,
        "scope": one.header.scope,
        "objects": one.header.objects,
        "secrets": one.header.secrets,
        "sealed": one.header.encryption is not None,
        "bytes": one.size_bytes,
    }


def run_prune(context: Context) -> int:
    """Remove what is too old."""
    dry = bool(context.option("dry_run"))
    removed = _prune(context, Path(context.option("folder")), context.option("keep"), dry=dry)
    if context.form != "table":
        context.dump({"removed": removed, "dryRun": dry})
        return 0
    for name in removed:
        context.print(f"{'would remove' if dry else 'removed'} {name}")
    return 0


def _prune(
    context: Context, folder: Path, keep: int | None, *, scope: str | None = None, dry: bool = False
) -> list[str]:
    if keep is None:
        return []
    found = shelf.volumes(folder)
    for one in found:
        if one.header is None:
            context.note(f"{one.path}: {one.fault}; it is neither counted nor removed")
    old = shelf.surplus(found, keep=keep, scope=scope)
    for one in old:
        if not dry:
            try:
                one.path.unlink(missing_ok=True)
            except OSError as error:
                raise CommandFailed(f"{one.path}: {error.strerror or error}") from None
    return [str(one.path) for one in old]


def _passphrase(content: bytes) -> Key:
    try:
        return passphrase(content.decode())
    except UnicodeDecodeError:
        raise BackupFault("a passphrase is UTF-8 text; for raw bytes use --key-file") from None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_KEEP:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_KEEP}")
    return int(text)


def _where(scope: str) -> str:
    return "all namespaces" if scope == EVERYWHERE else f"namespace {scope}"
