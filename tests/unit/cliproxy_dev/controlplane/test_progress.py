from __future__ import annotations

import io
import re

from cliproxy_dev.controlplane.progress import Progress


def test_lines_carry_the_elapsed_time() -> None:
    screen = io.StringIO()
    Progress(screen).say("ready")

    assert re.fullmatch(r"\[ +\d+ s\] ready\n", screen.getvalue())


def test_a_long_step_is_repeated_with_its_detail_and_then_silent() -> None:
    screen = io.StringIO()
    with Progress(screen, heartbeat_s=0.001).step("compiling", lambda: "7 packages"):
        while "compiling: 7 packages" not in screen.getvalue():
            pass
    text = screen.getvalue()

    assert text.splitlines()[0].endswith("] compiling ...")
    assert screen.getvalue() == text
