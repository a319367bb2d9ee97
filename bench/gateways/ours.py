"""Our sidecar as it runs in a pod: own process, snapshot pushed to its control port, everything on.

Three providers to choose from for every request, cooldown machines, active probes, usage, metrics, a log line
per request at the default level.
"""

from dataclasses import replace
from functools import partial
from typing import Final

import aiohttp

from cliproxy_api import codec
from cliproxy_api.snapshot import Credential, Model, Position, Provider, Snapshot, SnapshotPush
from cliproxy_api.version import __version__
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.compiled import CannotCompile, compiled
from gateways.launch import Contender, Launch, Place
from gateways.packages import Cache, CannotInstall, own_python
from gateways.payload import MODEL

_TOKEN: Final = "a-control-token-for-the-race"  # noqa: S105 -- guards a process that lives for a minute
_NAMESPACE: Final = "bench"
PROVIDERS: Final = ("anvil", "bellows", "crucible")
_OK: Final = 200


def prepare(_cache: Cache, place: Place) -> Launch:
    """Our sidecar."""
    proxy, control, observe = place.ports
    return Launch(
        command=(own_python(), "-m", "cliproxy_sidecar"),
        port=proxy,
        env={
            "POD_NAME": "race",
            "POD_NAMESPACE": _NAMESPACE,
            "POD_IP": "127.0.0.1",
            "CLIPROXY_PROXY_PORT": str(proxy),
            "CLIPROXY_CONTROL_PORT": str(control),
            "CLIPROXY_OBSERVE_PORT": str(observe),
            "CLIPROXY_CONTROL_TOKEN": _TOKEN,
        },
        configure=partial(push, control, place.provider_url),
    )


def prepare_compiled(cache: Cache, place: Place) -> Launch:
    """Our sidecar with its hot path compiled (ADR 24). Raises `CannotInstall` where it cannot be."""
    try:
        packages = compiled()
    except CannotCompile as error:
        raise CannotInstall(str(error)) from None
    launch = prepare(cache, place)
    return replace(launch, env={**launch.env, "PYTHONPATH": str(packages)})


OURS: Final = Contender("ours", "cliproxy sidecar (Python)", __version__, "ours", prepare)
COMPILED: Final = Contender(
    "compiled", "cliproxy sidecar, hot path compiled", __version__, "ours", prepare_compiled
)


def snapshot_push(provider_url: str) -> SnapshotPush:
    """Return what the operator would push for three providers that offer the same model."""
    providers = tuple(_provider(name, f"{provider_url}/v1") for name in PROVIDERS)
    return SnapshotPush(
        position=Position(1, 1),
        snapshot=codec.seal(Snapshot(namespace=_NAMESPACE, providers=providers)),
        secrets={provider.credentials[0].secret: "sk-bench" for provider in providers},
    )


async def push(control_port: int, provider_url: str) -> None:
    """Push the snapshot. Raises OSError while the sidecar does not listen, RuntimeError when it refuses."""
    await put(control_port, snapshot_push(provider_url))


async def put(control_port: int, pushed: SnapshotPush) -> None:
    """Push any snapshot (see `push`)."""
    url = f"http://127.0.0.1:{control_port}/v0/control/snapshot"
    headers = {"authorization": f"Bearer {_TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.put(url, data=codec.encode(pushed)) as answer,
    ):
        if answer.status != _OK:
            raise RuntimeError(f"the sidecar refused the snapshot: {await answer.text()}")


def _provider(name: str, base_url: str) -> Provider:
    secret = f"{_NAMESPACE}/{name}/api-key"
    return Provider(
        id=f"{_NAMESPACE}/{name}",
        name=name,
        type=ProviderType.OPENAI,
        base_url=base_url,
        credentials=(Credential(name="main", secret=secret, secret_digest="1"),),  # noqa: S106 -- made up
        models=(Model(name=MODEL, upstream_name=MODEL),),
    )
