import pytest

from gateways import samples

STACKS = """\
<module> (main.py:1);run (loop.py:10);pick (selection.py:20) 30
<module> (main.py:1);run (loop.py:10);pick (selection.py:25) 10
<module> (main.py:1);run (loop.py:12) 60
not a sample
"""


def test_own_time_belongs_to_the_innermost_function_whatever_its_line() -> None:
    assert samples.by_function(STACKS) == [
        ("run loop.py", pytest.approx(0.6)),
        ("pick selection.py", pytest.approx(0.4)),
    ]


def test_files_add_up_to_the_whole() -> None:
    shares = samples.by_file(STACKS)
    assert [name for name, _ in shares] == ["loop.py", "selection.py"]
    assert sum(share for _, share in shares) == pytest.approx(1)


def test_no_samples_give_no_rows() -> None:
    assert samples.by_function("") == samples.by_file("") == []
