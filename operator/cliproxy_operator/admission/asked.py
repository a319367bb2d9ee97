"""What an admission question asks to change, for the audit log: verb and fields, never values."""

from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION, RECOVER_ANNOTATION
from cliproxy_operator.admission.review import Request
from cliproxy_operator.changers import changed_fields

_LEVERS = (COOLDOWN_ANNOTATION, RECOVER_ANNOTATION)


def asked_change(request: Request) -> tuple[str, tuple[str, ...]] | None:
    """Return verb and fields; None if nothing that is ours would change, or nothing at all (a dry run)."""
    if request.dry_run or request.object is None:
        return None
    if request.operation == "CREATE":
        return "create", ()
    old = request.old_object or {}
    fields = changed_fields(old.get("spec"), request.object.get("spec"))
    before, after = _annotations(old), _annotations(request.object)
    fields += tuple(name for name in _LEVERS if name in after and before.get(name) != after[name])
    return ("update", fields) if fields else None


def _annotations(raw: dict[str, object]) -> dict[str, object]:
    metadata = raw.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}
