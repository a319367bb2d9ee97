"""A log line for people: time, level, message, then `field=value`; the same fields as in JSON.

What comes from outside cannot begin a line of its own: values with spaces, quotation marks, line breaks or
other control characters are written as JSON strings.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_PLAIN: Final = re.compile(r"[!#-<>-~]+")
"""Printable ASCII without quotation mark and equals sign."""
_HEAD: Final = ("timestamp", "level", "msg")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def text_line(fields: Mapping[str, Any]) -> bytes:
    """Return the line without its end; a traceback follows on lines of its own, indented."""
    message = _BREAKS.sub(" ", str(fields["msg"]))
    parts = [str(fields["timestamp"]), str(fields["level"]).upper().ljust(7), message]
    for name, value in fields.items():
        if name in _HEAD or name == "traceback" or value is None:
            continue
        if isinstance(value, Mapping):
            parts += [f"{name}.{inner}={_written(one)}" for inner, one in value.items()]
        else:
            parts.append(f"{name}={_written(value)}")
    line = " ".join(parts)
    if trace := fields.get("traceback"):
        line += "".join(f"\n  {_BREAKS.sub(' ', row)}" for row in str(trace).splitlines())
    return line.encode("utf-8", "replace")


def _written(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return _BREAKS.sub(" ", msgspec.json.encode(value).decode())
