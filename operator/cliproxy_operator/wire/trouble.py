"""What can go wrong between operator and sidecar, in the few words that metrics have labels for. Pure."""

import ssl
from typing import Final, Literal

Trouble = Literal[
    "connect",
    "timeout",
    "closed",
    "unauthorized",
    "deposed",
    "stranger",
    "malformed",
    "status",
    "tls",
    "identity",
]
_MAX_WORDS: Final = 200
_CONFLICT: Final = 409


class LinkError(Exception):
    """The sidecar could not be talked to; `trouble` is the bounded word for metrics."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble: Final = trouble


def refused(status: int) -> LinkError:
    """Return the trouble that an answer is, which is none that was hoped for."""
    if status in (401, 403):
        return LinkError("unauthorized", f"the sidecar does not take us for the operator ({status})")
    if status == _CONFLICT:
        return LinkError("deposed", "the sidecar follows a newer leader")
    return LinkError("status", f"the sidecar answered {status}")


def not_connected(error: OSError) -> LinkError:
    """Return the trouble of a connection that did not come about; a TimeoutError is an OSError too."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or str(error)
        return LinkError("tls", f"the certificate at the pod's address is refused: {why}"[: _MAX_WORDS + 100])
    if isinstance(error, ssl.SSLError):
        return LinkError("tls", _words(error))
    if isinstance(error, TimeoutError):
        return LinkError("timeout", "no connection came about in time")
    return LinkError("connect", _words(error))


def broken(error: Exception | None) -> LinkError:
    """Return the trouble of a connection that has ended; None: the sidecar closed it in good order."""
    if error is None:
        return LinkError("closed", "the sidecar closed the connection")
    return LinkError("tls" if isinstance(error, ssl.SSLError) else "closed", _words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_MAX_WORDS]
