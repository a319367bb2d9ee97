"""`cliproxy recover`: ends all cooldowns of a provider, as `cliproxy.io/recover` does."""

from cliproxy_api.vocabulary import RECOVER_ANNOTATION
from cliproxy_cli.context import Context
from cliproxy_cli.levers import pull, wait
from cliproxy_cli.parser import Subparsers, add_command


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers, "recover", run, summary="end all cooldowns of a provider, in the whole fleet", forms=()
    )
    parser.add_argument("provider", metavar="PROVIDER", help="name of the LLMProvider")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the operator has taken it")


def run(context: Context) -> int:
    """Ask for it, and wait until status shows it."""
    name = context.options.provider
    path = pull(context, name, RECOVER_ANNOTATION, "now")
    if context.option("no_wait"):
        context.print(f"{name}: asked to recover")
        return 0
    one = wait(context, path, RECOVER_ANNOTATION, lambda status: not status.get("inCooldown"))
    context.print(f"{name}: {(one.get('status') or {}).get('phase', 'Unknown')}")
    return 0
