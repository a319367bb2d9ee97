"""What `make test-313` runs inside, plain and compiled."""

from __future__ import annotations

from cliproxy_dev.images.suite import COMPILE, COMPILED, DEFAULT, FETCH, TOLD_BY_MYPYC, plan

PYTEST = (".venv/bin/python", "-m", "pytest")


def test_words_are_pytests() -> None:
    assert plan(["-q", "tests/unit"]) == (FETCH, (*PYTEST, "-q", "tests/unit"))
    assert plan([]) == (FETCH, (*PYTEST, *DEFAULT))


def test_compiled_tests_run_what_the_last_step_before_them_made() -> None:
    steps, tests = plan(["--compiled", "-q", "tests/unit"])
    assert steps == (*FETCH, COMPILE)
    assert COMPILE[-1] == COMPILED
    assert tests == ("env", f"PYTHONPATH={COMPILED}", *PYTEST, "-W", TOLD_BY_MYPYC, "-q", "tests/unit")
    assert plan(["--compiled"])[1][2:] == (*PYTEST, "-W", TOLD_BY_MYPYC, *DEFAULT)
