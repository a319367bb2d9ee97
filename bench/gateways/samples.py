"""Sum up a sampling profile in the collapsed-stack format (`frame;frame;frame count`). Pure."""

import collections
import re
from collections.abc import Iterator

_LINE = re.compile(r"^(?P<stack>.+) (?P<count>\d+)$")
_FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^():]+)(?::\d+)?\)$")


def by_function(text: str) -> list[tuple[str, float]]:
    """Return (function and file, share of the samples in which it ran itself), the largest first."""
    return _shares(collections.Counter(), ((stack[-1], count) for stack, count in _stacks(text)))


def by_file(text: str) -> list[tuple[str, float]]:
    """Return (file, share of the samples in which code of it ran itself), the largest first."""
    leaves = ((stack[-1], count) for stack, count in _stacks(text))
    return _shares(collections.Counter(), ((leaf.rpartition(" ")[2], count) for leaf, count in leaves))


def inclusive(text: str) -> list[tuple[str, float]]:
    """Return (function and file, share of the samples in which it or what it called ran)."""
    counts: collections.Counter[str] = collections.Counter()
    total = 0
    for stack, count in _stacks(text):
        total += count
        counts.update(dict.fromkeys(stack, count))
    return [(name, count / (total or 1)) for name, count in counts.most_common()]


def _stacks(text: str) -> Iterator[tuple[list[str], int]]:
    for line in text.splitlines():
        if found := _LINE.match(line):
            yield [_short(frame) for frame in found["stack"].split(";")], int(found["count"])


def _short(frame: str) -> str:
    found = _FRAME.match(frame)
    return f"{found['function']} {found['file']}" if found else frame


def _shares(counts: collections.Counter[str], samples: Iterator[tuple[str, int]]) -> list[tuple[str, float]]:
    for name, count in samples:
        counts[name] += count
    total = counts.total() or 1
    return [(name, count / total) for name, count in counts.most_common()]
