"""Run scripted providers as a process: `python -m cliproxy_dev.providers --kind anthropic --key main=sk-x`.

Prints one JSON line per provider when all listen, then serves until SIGINT or SIGTERM. Everything else is
left to `provider.py`.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from typing import Any

import uvloop

from cliproxy_dev.providers.provider import KINDS, ScriptedProvider

_OPTIONS = ("name", "kind", "host", "port", "control-port", "key", "model")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.providers", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="openai")
    parser.add_argument("--name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--control-port", type=int, default=0, help="0: any free port")
    parser.add_argument(
        "--key", action="append", default=[], help="KEY or NAME=KEY; default sk-test; repeatable"
    )
    parser.add_argument("--model", action="append", default=[], help="serve only these; repeatable")
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        metavar="name=claude,kind=anthropic,port=0,control-port=0,key=...,model=...",
        help="one of several providers, in place of the options above; repeatable",
    )
    return parser


def _from_text(text: str, parser: argparse.ArgumentParser) -> ScriptedProvider:
    """Read one --provider: comma-separated name=value; `key` and `model` may repeat."""
    options: dict[str, Any] = {"key": [], "model": []}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in _OPTIONS or not value:
            parser.error(f"--provider: {part!r} is not one of {', '.join(_OPTIONS)} with =VALUE")
        if name in ("key", "model"):
            options[name].append(value)
        else:
            options[name] = int(value) if name.endswith("port") and value.isdigit() else value
    if options.get("kind", "openai") not in KINDS:
        parser.error(f"--provider: kind is one of {', '.join(KINDS)}")
    return _provider({name.replace("-", "_"): value for name, value in options.items()})


def _provider(options: dict[str, Any]) -> ScriptedProvider:
    keys, models = options.pop("key"), options.pop("model")
    named = dict(key.split("=", 1) if "=" in key else (key, key) for key in keys)
    return ScriptedProvider(keys=named or {"sk-test"}, models=models or None, **options)


def _providers(argv: list[str] | None) -> list[ScriptedProvider]:
    parser = _arguments()
    options = vars(parser.parse_args(argv))
    several = options.pop("provider")
    return [_from_text(text, parser) for text in several] if several else [_provider(options)]


async def serve(providers: list[ScriptedProvider]) -> None:
    """Run the providers until a signal says stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        for provider in providers:
            await stack.enter_async_context(provider)
        for provider in providers:
            ready = {"name": provider.name, "kind": provider.kind, "port": provider.port}
            ready |= {"base_url": provider.base_url, "control_url": provider.control_url}
            print(json.dumps(ready | {"control_port": provider.control_port}), flush=True)
        await stop.wait()


def main(argv: list[str] | None = None) -> int:
    """Serve; returns 1 when a port is taken."""
    providers = _providers(argv)
    try:
        uvloop.run(serve(providers))
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
