"""What is said to people of an authority that cannot be kept: why, and what to do."""

from typing import Final

from cliproxy_api.channel import CA_SECRET, CERTIFICATE_FILE, KEY_FILE

FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
INVALID: Final = 422


def remedy(status: int, home: str) -> str:
    """Return what to do when the API server answers so to reading or writing the Secret in `home`."""
    if status == FORBIDDEN:
        return (
            "grant it (chart: rbac.create=true) or bring your own authority (chart:"
            " controlChannel.existingSecret)"
        )
    if status == INVALID:
        return (
            f"if it is immutable or of another type, kubectl -n {home} delete secret {CA_SECRET}: a new"
            " authority is made, and sidecars follow as their nodes bring them new certificates"
        )
    if status == NOT_FOUND:
        return f"create namespace {home}, or set POD_NAMESPACE to the operator's own (the chart does)"
    return "it is tried again by itself"


def lost(*, remembered: bool) -> str:
    """Return what becomes of a Secret that is there and holds no authority with its key."""
    where = f"{CERTIFICATE_FILE} and {KEY_FILE} are no authority with its key"
    if remembered:
        return f"{where}; the one in memory is written again"
    return (
        f"{where}, and no replica remembers it: a new one is made, and sidecars are reached again as their"
        f" nodes bring them new certificates; put {CA_SECRET} back from a copy to be spared that"
    )
