"""Room for a control plane's data is looked for before etcd would panic."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.controlplane.start import check_room


def test_a_full_disk_is_named_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"MB free, 1099511627776 are needed; TMPDIR=DIR") as refused:
        check_room(tmp_path, needed_bytes=1 << 60)

    assert str(tmp_path) in str(refused.value)


def test_a_disk_with_room_is_taken(tmp_path: Path) -> None:
    check_room(tmp_path, needed_bytes=1)
