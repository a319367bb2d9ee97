"""The command line's reference page, from its parsers: every command with its arguments and options."""

import argparse
from collections.abc import Iterator
from typing import Final

from cliproxy_cli.parser import build_parser

_HEAD: Final = """# `cliproxy`, also `kubectl cliproxy`

Install it with `pip install 'cliproxy-operator[cli]'`; with `kubectl-cliproxy` on the `PATH`,
`kubectl cliproxy` is the same command. It needs a kubeconfig and, of rights, what `kubectl` would need for
the same: reading our kinds and pods, `patch` on LLMProviders for `cooldown` and `recover`. It reads no
Secrets, except for `backup` where it is told to.

```console
$ kubectl cliproxy status
$ kubectl cliproxy top --by latency
$ kubectl cliproxy sidecars -o yaml
$ kubectl cliproxy cost
$ kubectl cliproxy cooldown claude --for 1m
$ kubectl cliproxy recover claude
```

Tables are for people: they have colours on a terminal only (`NO_COLOR=1` or `--no-color` takes them away).
Programs use `-o json`. `--watch` prints again and again. Errors go to standard error, with what helps; the
exit code is 0, or 1 when the command could not do what was asked, or 2 for wrong arguments.

This page is made from the program (`make docs`).
"""


def page() -> str:
    """Return the page."""
    parser = build_parser()
    commands = dict(_commands(parser, "cliproxy"))
    parts = [_HEAD, "## Options of every command", "", *_options(parser), ""]
    for name, command in commands.items():
        parts += [f"## `{name}`", "", _description(command), "", f"```text\n{_usage(name, command)}\n```", ""]
        parts += [*_options(command, without=_names(parser)), ""]
    return "\n".join(parts).rstrip() + "\n"


def _commands(parser: argparse.ArgumentParser, prefix: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, command in action.choices.items():
                parts = list(_commands(command, f"{prefix} {name}"))
                yield from parts or [(f"{prefix} {name}", command)]


def _description(command: argparse.ArgumentParser) -> str:
    text = command.description or ""
    lines = text.split("\n")
    told = [f"    {line.strip()}" if line.startswith("  ") else line for line in lines]
    return "\n".join(told)


def _usage(name: str, command: argparse.ArgumentParser) -> str:
    places = [_shown(one) for one in command._actions if not one.option_strings]  # noqa: SLF001
    return " ".join([name, *places, "[OPTION...]"])


def _shown(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return f"[{name}...]" if action.nargs == "*" else f"[{name}]" if action.nargs == "?" else name


def _names(parser: argparse.ArgumentParser) -> frozenset[str]:
    return frozenset(name for one in parser._actions for name in one.option_strings)  # noqa: SLF001


def _options(parser: argparse.ArgumentParser, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Return a table of arguments and options; nothing if there are none."""
    rows = []
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction) or without & set(action.option_strings):  # noqa: SLF001
            continue
        if "-h" in action.option_strings:
            continue
        value = f" {action.metavar}" if action.option_strings and action.metavar and action.nargs != 0 else ""
        name = ", ".join(action.option_strings) + value if action.option_strings else _shown(action)
        told = str(action.help or "").replace("|", "\\|").replace("%%", "%")
        rows.append(f"| `{name}` | {told} |")
    return ["| | |", "|---|---|", *rows] if rows else []
