"""Connections as people see them: callers' on one side, providers' by origin on the other.

The figures are read from servers and pools when somebody looks; nothing is counted for them on the way.
"""

from collections.abc import Iterable
from typing import Any

from cliproxy_api.snapshot import Provider
from cliproxy_sidecar.proxy.upstream import Connections


def connections_view(
    providers: Iterable[Provider],
    upstream: dict[str, dict[str, Connections] | None],
    *,
    callers_open: int,
    active: int,
    waiting: int,
) -> dict[str, Any]:
    """Return the body of `GET /v0/operations/connections`.

    `upstream` is by provider's id, then origin; None: that client does not tell (aiohttp's).
    """
    return {
        "active_requests": active,
        "waiting_requests": waiting,
        "callers": {"open": callers_open},
        "connections": {
            provider.name: {
                "max_connections": provider.pool.max_connections,
                "max_idle_connections": provider.pool.max_idle_connections,
                "idle_timeout_seconds": provider.pool.idle_timeout_s,
                **_provider(upstream.get(provider.id)),
            }
            for provider in providers
        },
    }


def _provider(origins: dict[str, Connections] | None) -> dict[str, Any]:
    if origins is None:
        return {
            "open": None,
            "idle": None,
            "in_use": None,
            "connecting": None,
            "waiting": None,
            "origins": {},
        }
    shown = {origin: _shown(figures) for origin, figures in sorted(origins.items())}
    sums = {name: sum(one[name] for one in shown.values()) for name in _shown(_NONE)}
    return {**sums, "origins": shown}


def _shown(figures: Connections) -> dict[str, int]:
    return {
        "open": figures.open,
        "idle": figures.idle,
        "in_use": figures.in_use,
        "connecting": figures.connecting,
        "waiting": figures.waiting,
    }


_NONE = Connections(open=0, idle=0, connecting=0, waiting=0)
