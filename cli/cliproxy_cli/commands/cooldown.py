"""`cliproxy cooldown`: sits a provider out in the whole fleet, as `cliproxy.io/cooldown` does."""

from typing import Any, Final

from cliproxy_api.durations import DURATION_HELP, parse_duration_s
from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION
from cliproxy_cli.context import Context
from cliproxy_cli.failures import MISUSED, CommandFailed
from cliproxy_cli.levers import pull, wait
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.shown import left

DEFAULT: Final = "10m"
MAX_S: Final = 30 * 86_400


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "cooldown",
        run,
        summary="let a provider sit out, in the whole fleet, for a while",
        forms=(),
    )
    parser.add_argument("provider", metavar="PROVIDER", help="name of the LLMProvider")
    parser.add_argument(
        "--for", dest="duration", metavar="DURATION", help=f"how long, such as 30s, 10m or 1h30m ({DEFAULT})"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the operator has taken it")


def run(context: Context) -> int:
    """Ask for it, and wait until status shows it."""
    duration = context.option("duration", DEFAULT)
    try:
        seconds = parse_duration_s(duration)
    except ValueError:
        raise CommandFailed(f"--for {duration!r} is not {DURATION_HELP}", code=MISUSED) from None
    if not 0 < seconds <= MAX_S:
        raise CommandFailed(
            "--for is between 1ms and 720h; to stop using a provider set enabled: false", code=MISUSED
        )
    name = context.options.provider
    path = pull(context, name, COOLDOWN_ANNOTATION, duration)
    if context.option("no_wait"):
        context.print(f"{name}: asked to sit out for {duration}")
        return 0
    status: dict[str, Any] = wait(
        context, path, COOLDOWN_ANNOTATION, lambda one: bool(one.get("inCooldown"))
    )["status"]
    until = status.get("cooldownUntil")
    context.print(f"{name}: sits out until {until} ({left(until, context.now_utc())})")
    return 0
