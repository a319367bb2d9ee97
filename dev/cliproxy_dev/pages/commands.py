"""The commands that pages tell readers to type, found in their `console` blocks. Pure; tests run them.

In a block, a line that begins with `$ ` is a command; it goes on while lines end with a backslash or a
here-document is open; all else is what it prints. Comments on the lines above a block say what is special:

* `<!-- typed by: FILE -->`: that test types it, not the one that types all others.
* `<!-- fails: WORDS -->`: its last command is meant to fail and to say these words.
* `<!-- options only: REASON -->`: too long for a test; the program is asked whether it knows the options.
* `<!-- not run: REASON -->`: no test can run it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

_FENCE: Final = re.compile(r"^(\s*)(```+|:::+)\s*(\S*)")
_MARK: Final = re.compile(r"^\s*<!-- (typed by|fails|options only|not run): (.+) -->\s*$")
_HERE: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_BLANKS: Final = re.compile(r"\s+")
_STRAY: Final = re.compile(r"^\s*\$ \S|^(?: {4}|\t)(?:make|kubectl|helm|curl|docker|cliproxy) ")
_SHELLS: Final = frozenset({"sh", "bash", "shell", "zsh", "shell-session"})
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
    typist: str = ""
    """The test that types it, from the root of the checkout; empty: the one that types all pages."""
    fails: str = ""
    """What it says when it fails, as it is meant to; empty if it is to succeed."""
    options_only: str = ""
    """Why only its options are checked; empty if it is run."""

    def __str__(self) -> str:
        """Return where it stands and how it begins."""
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"

    @property
    def is_ordinary(self) -> bool:
        """Whether the test that types all pages types it as it stands."""
        return not (self.reason or self.typist or self.options_only)

    def failed_as_told(self, code: int | None, said: str) -> bool:
        """Whether a command that is meant to fail did, with its words; line breaks count as blanks."""
        return code != 0 and self.fails in _BLANKS.sub(" ", said)


class MalformedBlock(ValueError):
    """A console block that holds no command, one that does not end, or marks that contradict each other."""


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Yield the commands of one page in order; `page` is its name.

    Raises:
        MalformedBlock: a block without any command, a command that goes on beyond its block, or a block
            that is said to be both run and not.

    """
    fence = indent = kind = ""
    begin, block = 0, list[str]()
    above, marks = dict[str, str](), dict[str, str]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if fence:
            if match and match[2] == fence and not match[3]:
                if kind == "console":
                    yield from _marked(_in_block(page, begin, block), marks)
                fence = ""
            else:
                block.append(line.removeprefix(indent))
        elif match:
            indent, fence, kind = match.groups()
            begin, block, marks, above = number + 1, [], above, {}
        else:
            mark = _MARK.match(line)
            above = above | {mark[1]: mark[2]} if mark else {}


def strays(page: str, text: str) -> Iterator[str]:
    """Yield where a page shows commands in no `console` block: nobody would type those."""
    fence = kind = ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if match and (not fence or (match[2] == fence and not match[3])):
            fence, kind = ("", "") if fence else (match[2], match[3])
            if kind in _SHELLS:
                yield f"{page}:{number}: a block of kind {kind}"
        elif (_STRAY.match(line) and not fence) or (fence and kind != "console" and line.startswith(PROMPT)):
            yield f"{page}:{number}: {line.strip()}"


def _marked(found: Iterable[Command], marks: dict[str, str]) -> Iterator[Command]:
    commands = list(found)
    ways = marks.keys() & {"not run", "options only", "typed by"}
    if len(ways) > 1 or ("fails" in marks and ways - {"typed by"}):
        raise MalformedBlock(f"{commands[0]}: contradictory marks: {', '.join(sorted(marks))}")
    for command in commands:
        yield replace(
            command,
            reason=marks.get("not run", ""),
            typist=marks.get("typed by", ""),
            options_only=marks.get("options only", ""),
            fails=marks.get("fails", "") if command is commands[-1] else "",
        )


def _in_block(page: str, begin: int, block: list[str]) -> Iterator[Command]:
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
        yield Command(page=page, line=number, text="\n".join(taken))
    if not found:
        raise MalformedBlock(f"{page}:{begin}: a console block without a command; commands begin with '$ '")
