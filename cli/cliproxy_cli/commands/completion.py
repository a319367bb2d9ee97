"""`cliproxy completion`: a shell's script that asks `cliproxy __complete` for words; also what answers it.

Words come from the parsers themselves, so a new command or option completes by itself; names of providers
come from the API server, if it answers quickly.
"""

import argparse
from typing import Final

from cliproxy_api.kinds import PROVIDER
from cliproxy_cli.context import Context
from cliproxy_cli.failures import CommandFailed
from cliproxy_cli.kube import Kube
from cliproxy_cli.parser import Subparsers, add_command, build_parser

QUICK_S: Final = 2.0
_BASH: Final = """\
_cliproxy() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(cliproxy __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- \
"${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _cliproxy cliproxy
"""
_ZSH: Final = """\
#compdef cliproxy
_cliproxy() {
    local -a found
    found=("${(@f)$(cliproxy __complete -- "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
    compadd -a found
}
compdef _cliproxy cliproxy
"""
_FISH: Final = """\
complete -c cliproxy -f -a '(cliproxy __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
"""
COMPLETE: Final = "__complete"
"""What scripts call, and people need not know of."""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "completion",
        run,
        summary="print the script that completes words in a shell",
        description="Print the script that completes words in a shell. Load it with one of\n"
        "  source <(cliproxy completion bash)\n"
        "  source <(cliproxy completion zsh)\n"
        "  cliproxy completion fish | source\n"
        "kubectl (1.26 and later) completes `kubectl cliproxy` by itself, through kubectl_complete-cliproxy.",
        forms=(),
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help=", ".join(SCRIPTS))


def completing(given: list[str]) -> argparse.Namespace:
    """Return the options of what follows `COMPLETE`: `--` and words. No parser holds it, so none names it."""
    return argparse.Namespace(run=complete, words=given[1:] if given[:1] == ["--"] else given)


def run(context: Context) -> int:
    """Print the script."""
    context.out.write(SCRIPTS[context.options.shell])
    return 0


def complete(context: Context) -> int:
    """Print the words that may follow, one a line; the last word given is the one being typed."""
    *before, typed = context.options.words or [""]
    for word in words(context, before):
        if word.startswith(typed) and (typed or not word.startswith("-")):
            context.print(word)
    return 0


def words(context: Context, before: list[str]) -> list[str]:
    """Return what may follow these words."""
    parser, positions, pending = build_parser(), 0, None
    for word in before:
        if pending is not None:
            pending = None
        elif word.startswith("-"):
            pending = _valued(parser, word)
        elif (subparser := _subparsers(parser).get(word)) is not None:
            parser, positions = subparser, 0
        else:
            positions += 1
    if pending is not None:
        return _values(context, pending)
    options = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001
    commands = list(_subparsers(parser))
    places = [action for action in parser._actions if not action.option_strings and not commands]  # noqa: SLF001
    values = _values(context, places[positions]) if positions < len(places) else []
    return [*commands, *values, *options]


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _valued(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """Return the option if its value is the next word."""
    for action in parser._actions:  # noqa: SLF001
        if word in action.option_strings and action.nargs is None and action.metavar is not None:
            return action
    return None


def _values(context: Context, action: argparse.Action) -> list[str]:
    if action.choices is not None:
        return [str(one) for one in action.choices]
    if action.dest == "provider":
        return _providers(context)
    return []


def _providers(context: Context) -> list[str]:
    try:
        kube = Kube(context.kube.endpoint, timeout_s=QUICK_S)
        found = kube.items(PROVIDER, context.own_namespace)
    except CommandFailed:
        return []  # completing is no place to complain
    return [str(one["metadata"]["name"]) for one in found]
