"""The commands that pages tell readers to type, found in their `console` blocks. Pure; a test runs them.

In a block, a line that begins with `$ ` is a command; it goes on while lines end with a backslash or a
here-document is open; all else is what it prints. A block that no test can run has the comment
`<!-- not run: REASON -->` on the line above.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_FENCE: Final = re.compile(r"^(\s*)(```+|:::+)\s*(\S*)")
_EXEMPT: Final = re.compile(r"^\s*<!-- not run: (.+) -->\s*$")
_HERE: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
PROMPT: Final = "$ "


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page."""

    page: str
    line: int
    """Where it stands, from 1."""
    text: str
    """As bash takes it."""
    reason: str = ""
    """Why no test runs it; empty if one does."""

    def __str__(self) -> str:
        """Return where it stands and how it begins."""
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"


class MalformedBlock(ValueError):
    """A console block that holds no command, or one that does not end."""


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Yield the commands of one page in order; `page` is its name.

    Raises:
        MalformedBlock: a block without any command, or a command that goes on beyond its block.

    """
    fence = indent = kind = reason = previous = ""
    begin, block = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if fence:
            if match and match[2] == fence and not match[3]:
                if kind == "console":
                    yield from _in_block(page, begin, block, reason)
                fence = ""
            else:
                block.append(line.removeprefix(indent))
        elif match:
            exempt = _EXEMPT.match(previous)
            indent, fence, kind = match.groups()
            reason = exempt[1] if exempt else ""
            begin, block = number + 1, []
        previous = line


def _in_block(page: str, begin: int, block: list[str], reason: str) -> Iterator[Command]:
    found = False
    lines = iter(enumerate(block, start=begin))
    for number, line in lines:
        if not line.startswith(PROMPT):
            continue
        found = True
        taken = [line.removeprefix(PROMPT)]
        try:
            while taken[-1].endswith("\\"):
                taken.append(next(lines)[1])
            if here := _HERE.search(taken[0]):
                while taken[-1] != here[1]:
                    taken.append(next(lines)[1])
        except StopIteration:
            raise MalformedBlock(f"{page}:{number}: the command does not end in its block") from None
        yield Command(page=page, line=number, text="\n".join(taken), reason=reason)
    if not found:
        raise MalformedBlock(f"{page}:{begin}: a console block without a command; commands begin with '$ '")
