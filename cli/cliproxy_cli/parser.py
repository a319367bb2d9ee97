"""The command line's grammar: one parser, a subparser of each command, options that fit everywhere.

Documentation and shell completion are made from what stands here.
"""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cliproxy_api.version import __version__
from cliproxy_cli.context import Context

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse names it no other way
else:
    Subparsers = Any

Run = Callable[[Context], int]

FORMS: Final = ("table", "json", "yaml")


def common_options() -> argparse.ArgumentParser:
    """Return the options of every command; absent from the result unless given: they fit before and after."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--kubeconfig", metavar="FILE", help="the kubeconfig file (default: $KUBECONFIG, ~/.kube/config)"
    )
    group.add_argument(
        "--context", metavar="NAME", help="the kubeconfig's context (default: the current one)"
    )
    group.add_argument("-n", "--namespace", metavar="NAME", help="the namespace (default: the context's)")
    group.add_argument(
        "--no-color", action="store_true", help="no colours (as NO_COLOR=1; only terminals get any)"
    )
    return parser


def add_command(
    subparsers: Subparsers,
    name: str,
    run: Run,
    *,
    summary: str,
    description: str = "",
    forms: tuple[str, ...] = FORMS,
    all_namespaces: bool = False,
    watch: bool = False,
) -> argparse.ArgumentParser:
    """Add a command and return its parser, for arguments of its own.

    `forms` are the choices of `-o` (none: no such option), the first the default; `all_namespaces` adds `-A`;
    `watch` adds `--watch`, which calls `run` again and again.
    """
    parser = subparsers.add_parser(
        name,
        parents=[common_options()],
        help=summary,
        description=description or f"{summary[:1].upper()}{summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(run=run, command=name)
    if forms:
        parser.add_argument(
            "-o", "--output", choices=forms, metavar="FORM", help=f"{', '.join(forms)} (default: {forms[0]})"
        )
    if all_namespaces:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="look at all namespaces")
    if watch:
        parser.add_argument(
            "-w", "--watch", nargs="?", const=2.0, type=_seconds, metavar="SECONDS",
            help="print it again every so many seconds (2), until Ctrl-C",
        )  # fmt: skip
    return parser


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    from cliproxy_cli.commands import COMMANDS  # noqa: PLC0415 -- commands use this module

    parser = argparse.ArgumentParser(
        prog="cliproxy",
        parents=[common_options()],
        description="Look at a fleet of cliproxy sidecars and act on it. Also: kubectl cliproxy.",
        epilog="`cliproxy COMMAND --help` says more. `cliproxy completion bash|zsh|fish` completes words.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"cliproxy {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.register(subparsers)
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.2 <= value <= 3600:  # noqa: PLR2004 -- slower than a blink, faster than a shift
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.2 to 3600")
    return value
