"""What the bootstrap decides; making a real `.venv` is proven by every fresh clone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "dev" / "bootstrap.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in bootstrap.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}\n")
    (tmp_path / "requirements" / "dev.txt").write_text("one==1 --hash=sha256:0\ntwo==2 --hash=sha256:0\n")
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would be run; `-m venv` makes the folder it promises."""
    seen: list[str] = []

    def run(command: list[str], *_: object, **__: object) -> None:
        seen.append(" ".join(command))
        if command[1:3] == ["-m", "venv"]:
            (Path(command[3]) / "bin").mkdir(parents=True)
            (Path(command[3]) / "bin" / "python").touch()

    monkeypatch.setattr(bootstrap, "run", run)
    return seen


@pytest.mark.parametrize("name", bootstrap.INPUTS)
def test_every_input_changes_the_fingerprint(checkout: Path, name: str) -> None:
    before = bootstrap.fingerprint(checkout)
    (checkout / name).write_text("changed\n")

    assert bootstrap.fingerprint(checkout) != before


def test_the_second_run_does_nothing(checkout: Path, commands: list[str]) -> None:
    bootstrap.bootstrap(checkout)
    first = list(commands)
    bootstrap.bootstrap(checkout)

    assert len(first) == 3
    assert f"--require-hashes -r {checkout / 'requirements' / 'dev.txt'}" in first[1]
    assert f"--no-deps --no-build-isolation -e {checkout}" in first[2]
    assert commands == first


def test_a_failed_install_is_not_taken_for_finished(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch()
    (checkout / ".venv" / "bootstrap.stamp").write_text("of an older lock")
    monkeypatch.setattr(bootstrap, "works", lambda _venv: True)

    def fail(*_: object, **__: object) -> None:
        raise bootstrap.CannotPrepare("no network")

    monkeypatch.setattr(bootstrap, "run", fail)
    with pytest.raises(bootstrap.CannotPrepare):
        bootstrap.bootstrap(checkout)

    assert not (checkout / ".venv" / "bootstrap.stamp").exists()


def test_without_ensurepip_and_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)

    with pytest.raises(bootstrap.CannotPrepare) as refused:
        bootstrap.install_debian_venv(bootstrap.Progress())

    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert f"apt-get install {package}" in str(refused.value)
    assert "make PYTHON=" in str(refused.value)


def test_an_old_python_is_told_how_to_choose_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (99, 0))

    assert bootstrap.main() == 1
    assert "Python 99.0 or later is needed" in capsys.readouterr().err


def test_a_failing_command_shows_its_last_words_and_a_hint(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(4)"]

    with pytest.raises(bootstrap.CannotPrepare) as refused:
        bootstrap.run(command, tmp_path / "log", hint="try this")

    assert "exit code 4" in str(refused.value)
    assert "the reason\ntry this" in str(refused.value)


def test_foreign_packages_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")

    bootstrap.run([sys.executable, "-c", "import os; print(os.environ.get('PYTHONPATH'))"], tmp_path / "log")

    assert (tmp_path / "log").read_text() == "None\n"


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python of the distribution that can do all that is asked."""
    place = tmp_path / "python3"
    place.write_text("#!/bin/sh\nexit 0\n")
    place.chmod(0o755)
    monkeypatch.setattr(bootstrap, "DISTRIBUTION_PYTHON", place)
    return place


def built_with(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setattr(bootstrap.sysconfig, "get_config_var", lambda _name: options)


def test_a_plain_build_gives_way_to_the_distributions(
    distribution: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_with(monkeypatch, "'--prefix=/opt/python'")
    assert bootstrap.better_python() == distribution

    distribution.write_text("#!/bin/sh\nexit 1\n")  # too old, or without venv
    assert bootstrap.better_python() is None

    distribution.unlink()
    assert bootstrap.better_python() is None


def test_an_optimised_build_and_the_distributions_own_stay(
    distribution: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_with(monkeypatch, "'--enable-optimizations' '--with-lto'")
    assert bootstrap.better_python() is None

    built_with(monkeypatch, "'--prefix=/usr'")
    monkeypatch.setattr(bootstrap, "DISTRIBUTION_PYTHON", Path(sys.executable))
    assert bootstrap.better_python() is None


def test_what_checks_the_distributions_python_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    built_with(monkeypatch, "")
    monkeypatch.setattr(bootstrap.sys, "executable", "/opt/python/bin/python3")
    monkeypatch.setattr(bootstrap, "DISTRIBUTION_PYTHON", Path(sys._base_executable))  # type: ignore[attr-defined]
    assert bootstrap.better_python() is not None


def test_a_folder_that_cannot_be_written_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(_: Path) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere/.venv.log")

    monkeypatch.setattr(bootstrap, "better_python", lambda: None)
    monkeypatch.setattr(bootstrap, "bootstrap", read_only)

    assert bootstrap.main() == 1
    assert "/somewhere/.venv.log" in (told := capsys.readouterr().err)
    assert "clone there" in told
