"""Programs found on PATH and in the cache, and what is said when there are none."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from cliproxy_dev import debianprogram
from cliproxy_dev.controlplane.find import CannotObtain, Unavailable
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.debianprogram import Program, Sought, find, prepare
from cliproxy_dev.pages.programs import write_wrapper

SOUGHT = Sought("frob", ("frob-tools",), "2 or later")


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path / "bin"), "CLIPROXY_CACHE": str(tmp_path / "cache")}


def test_path_comes_before_the_cache(tmp_path: Path) -> None:
    env = environment(tmp_path)
    cached = program(tmp_path / "cache" / "frob" / "debian" / "usr" / "bin" / "frob")
    (tmp_path / "cache" / "frob" / "debian" / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    assert find(SOUGHT, env) == Program(cached, str(cached.parents[1] / "lib" / "x86_64-linux-gnu"), "cache")
    on_path = program(tmp_path / "bin" / "frob")
    assert prepare(SOUGHT, env, Progress(io.StringIO())) == Program(on_path, None, "PATH")


def test_without_either_the_reason_and_a_way_round_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_debian(*_words: object, **_named: object) -> str:
        raise CannotObtain("this is not Debian")

    monkeypatch.setattr(debianprogram, "check_machine", not_debian)
    with pytest.raises(Unavailable, match=r"(?s)this is not Debian.*have frob on PATH \(2 or later\)"):
        prepare(SOUGHT, environment(tmp_path), Progress(io.StringIO()))
    assert list((tmp_path / "cache" / "frob").glob("work-*")) == []


def test_a_wrapper_brings_libraries_to_its_program_alone(tmp_path: Path) -> None:
    real = program(tmp_path / "it's here" / "frob", '#!/bin/sh\necho "$LD_LIBRARY_PATH|$1|$2"\n')
    wrapper = tmp_path / "frob"
    write_wrapper(wrapper, Program(real, "/some/lib", "cache"))
    said = subprocess.run([wrapper, "a b", "c"], capture_output=True, text=True, check=True, env=os.environ)  # noqa: S603
    assert said.stdout == "/some/lib|a b|c\n"
