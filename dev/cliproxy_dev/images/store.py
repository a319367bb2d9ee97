"""What stays in the store of images: the newest of each kind, and what somebody asked for within the hour.

Without it each change of the sources would leave its images behind. What is made is `build`'s.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cliproxy_dev import clock
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images.engine import Engine

COMPILED: Final = "compiled"
"""In the tag of an image whose hot path is compiled."""
OURS: Final = "localhost/cliproxy-"
GRACE_S: Final = 3600.0
"""Other checkouts build into the same store: what they play is not taken from under them."""
_ASKED: Final = "asked.json"


def kind(tag: str) -> tuple[str, bool]:
    """Return what an image is, whatever it was made from: its name, and whether it is compiled."""
    name, _, rest = tag.rpartition(":")
    return name, f"-{COMPILED}-" in rest


def gone(tags: Iterable[str], asked_s: Mapping[str, float], now_s: float) -> list[str]:
    """Return which of the tags may go; `asked_s`: when each was last asked for, in seconds, 0 if unknown."""
    newest: dict[tuple[str, bool], str] = {}
    known = sorted(tags, key=lambda tag: asked_s.get(tag, 0.0))
    for tag in known:
        newest[kind(tag)] = tag
    return [tag for tag in known if newest[kind(tag)] != tag and now_s - asked_s.get(tag, 0.0) > GRACE_S]


def clear(engine: Engine, used: Iterable[str], progress: Progress) -> None:
    """Remember which tags were asked for now, and remove what may go, with layers that nothing needs.

    The caller holds the lock of building. What a container runs stays until the next time.
    """
    tags = engine.ask("buildah", "images", "--format={{.Name}}:{{.Tag}}").splitlines()
    ours = [tag for tag in tags if tag.startswith(OURS)]
    asked = {tag: at for tag, at in _read(engine.root / _ASKED).items() if tag in ours}
    now = clock.utc_now().timestamp()
    asked |= dict.fromkeys(used, now)
    (engine.root / _ASKED).write_text(json.dumps(asked, indent=1), "utf-8")
    for tag in (leaving := gone(ours, asked, now)):
        engine.ask("buildah", "rmi", tag, check=False)
    engine.ask("buildah", "rmi", "--prune", check=False)
    if leaving:
        progress.say(f"removed {len(leaving)} images of former sources from {engine.root}")


def _read(path: Path) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, float] = json.loads(path.read_text("utf-8"))
        return found
    return {}
