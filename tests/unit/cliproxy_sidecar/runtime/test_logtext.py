"""Log lines for people: one line each, whatever stands in them."""

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.runtime.logtext import text_line

HEAD = {"timestamp": "2026-11-21T10:51:00.000Z", "level": "info", "msg": "request_success"}


def test_fields_follow_the_message() -> None:
    line = text_line(
        {**HEAD, "provider": "gpt", "tokens": {"input": 3}, "stream": False, "error_class": None}
    )
    assert (
        line == b"2026-11-21T10:51:00.000Z INFO    request_success provider=gpt tokens.input=3 stream=false"
    )


def test_values_that_could_be_taken_for_more_are_quoted() -> None:
    line = text_line({**HEAD, "model": 'a b="c"', "empty": "", "list": ["x"]})
    assert line.endswith(b' model="a b=\\"c\\"" empty="" list=["x"]')


def test_a_traceback_stands_below_indented() -> None:
    line = text_line({**HEAD, "msg": "two\nlines", "traceback": "Traceback:\n  ValueError: x\n"})
    assert line.splitlines()[0].endswith(b" two lines")
    assert line.splitlines()[1:] == [b"  Traceback:", b"    ValueError: x"]


@given(st.text(), st.text())
def test_nothing_begins_a_line_of_its_own(message: str, value: str) -> None:
    line = text_line({**HEAD, "msg": message, "model": value}).decode()
    assert len(line.splitlines()) == 1
    assert line.isprintable() or not any(ord(letter) < 32 or ord(letter) == 127 for letter in line)
