"""Pure: what a webhook configuration lacks so that the API server trusts us, as a JSON patch."""

import base64
from collections.abc import Mapping
from typing import Any


def bundle_patch(configuration: Mapping[str, Any], authorities: str) -> list[dict[str, Any]]:
    """Return the operations that put these PEM certificates into every webhook; empty: they are there.

    Each webhook is tested by name first: a list that was changed meanwhile is refused, not mixed up.
    """
    wanted = base64.b64encode(authorities.encode()).decode()
    patch: list[dict[str, Any]] = []
    for number, webhook in enumerate(configuration.get("webhooks") or []):
        if (webhook.get("clientConfig") or {}).get("caBundle") != wanted:
            place = f"/webhooks/{number}"
            patch.append({"op": "test", "path": f"{place}/name", "value": webhook["name"]})
            patch.append({"op": "add", "path": f"{place}/clientConfig/caBundle", "value": wanted})
    return patch
