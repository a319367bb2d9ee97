"""Runs one command: reads the arguments, tells what went wrong in words, returns the exit code."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from cliproxy_api.kinds import NoName
from cliproxy_cli.commands.completion import COMPLETE, completing
from cliproxy_cli.context import Context
from cliproxy_cli.failures import FAILED, INTERRUPTED, MISUSED, CommandFailed
from cliproxy_cli.output import Colour, paint, wants_colours
from cliproxy_cli.parser import build_parser

CLEAR: Final = "\033[H\033[2J"


def main(
    argv: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Run the command that `argv` (by default the process's) asks for; return its exit code."""
    parser, words = build_parser(), list(sys.argv[1:] if argv is None else argv)
    if not words:
        parser.print_help(err or sys.stderr)
        return MISUSED
    options = completing(words[1:]) if words[0] == COMPLETE else parser.parse_args(words)
    context = Context(
        options=options,
        environment=os.environ if environment is None else environment,
        out=out or sys.stdout,
        err=err or sys.stderr,
    )
    try:
        if context.option("watch") is not None:
            return _watch(context)
        code: int = options.run(context)
        context.out.flush()
    except (CommandFailed, NoName) as failure:
        _tell(context, failure)
        return MISUSED if isinstance(failure, NoName) else failure.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `| head` has seen enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _watch(context: Context) -> int:
    """Run it until Ctrl-C; a failure is shown and the next round tries again: an API server may restart."""
    while True:
        if context.out.isatty():
            context.out.write(CLEAR)
        try:
            context.options.run(context)
        except CommandFailed as failure:
            _tell(context, failure)
        context.out.flush()
        context.sleep(context.option("watch"))


def _tell(context: Context, failure: CommandFailed | NoName) -> None:
    colours = wants_colours(context.err, context.environment, refused=bool(context.option("no_color")))
    context.note(f"{paint('error:', Colour.RED, colours=colours)} {failure}")
    if isinstance(failure, CommandFailed) and failure.hint:
        context.note(f"{paint('try:', Colour.CYAN, colours=colours)} {failure.hint}")


def run() -> None:
    """Entry point of the installed commands."""
    sys.exit(main())


def complete() -> None:
    """Entry point that kubectl asks for completions of `kubectl cliproxy`; `:4`: no names of files."""
    code = main([COMPLETE, "--", *sys.argv[1:]])
    sys.stdout.write(":4\n")
    sys.exit(code)


if __name__ == "__main__":
    run()
