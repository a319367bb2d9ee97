"""The contenders other than ours, each in the configuration that its makers recommend for production.

One provider behind each, no keys checked where that can be off, request logs as they are by default. What
must be known about a product to start it stands here and nowhere else.
"""

import json
import shutil
from typing import Any, Final

from gateways import packages
from gateways.launch import Contender, Launch, Place
from gateways.ours import COMPILED, OURS
from gateways.packages import Cache
from gateways.payload import MODEL

_KEY: Final = "sk-bench"


def litellm(cache: Cache, place: Place) -> Launch:
    """LiteLLM's proxy: one worker."""
    programs = cache.python(packages.LITELLM)
    parameters = {"model": f"openai/{MODEL}", "api_base": f"{place.provider_url}/v1", "api_key": _KEY}
    models = {"model_list": [{"model_name": MODEL, "litellm_params": parameters}]}
    config = place.write("config.yaml", json.dumps(models))
    port = place.ports[0]
    return Launch(
        command=(
            str(programs / "litellm"),
            *("--config", config, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"),
        ),
        port=port,
        env={
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    )


def portkey(cache: Cache, place: Place) -> Launch:
    """Portkey's gateway; the provider is named by every request's headers."""
    script = cache.npm(packages.PORTKEY) / "build" / "start-server.js"
    port = place.ports[0]
    return Launch(
        command=(_node(), str(script), f"--port={port}", "--headless"),
        port=port,
        headers={
            "authorization": f"Bearer {_KEY}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{place.provider_url}/v1",
        },
    )


def code_router(cache: Cache, place: Place) -> Launch:
    """claude-code-router: takes Anthropic's messages and translates them for an OpenAI-like provider."""
    script = cache.npm(packages.CODE_ROUTER) / "dist" / "cli.js"
    provider = {
        "name": "bench",
        "api_base_url": f"{place.provider_url}/v1/chat/completions",
        "api_key": _KEY,
        "models": [MODEL],
    }
    config = {
        "LOG": False,
        "HOST": "127.0.0.1",
        "PORT": place.ports[0],
        "NON_INTERACTIVE_MODE": True,
        "Providers": [provider],
        "Router": {"default": f"bench,{MODEL}"},
    }
    place.write(".claude-code-router/config.json", json.dumps(config))
    return Launch(
        command=(_node(), str(script), "start"),
        port=place.ports[0],
        path="/v1/messages",
        headers={"anthropic-version": "2023-06-01"},
    )


def ferro(cache: Cache, place: Place) -> Launch:
    """Ferro Labs' gateway, its limit on callers raised out of the way."""
    program = cache.python(packages.FERRO) / "ferrogw"
    config = place.write("config.yaml", "strategy:\n  mode: single\ntargets:\n  - virtual_key: openai\n")
    return Launch(
        command=(str(program), "serve"),
        port=place.ports[0],
        env={
            "GATEWAY_CONFIG": config,
            "MASTER_KEY": "fgw_bench",
            "OPENAI_API_KEY": _KEY,
            "OPENAI_BASE_URL": place.provider_url,
            "PORT": str(place.ports[0]),
            "RATE_LIMIT_RPS": "1000000",
            "RATE_LIMIT_BURST": "1000000",
        },
        headers={"authorization": "Bearer fgw_bench"},
    )


def envoy(cache: Cache, place: Place) -> Launch:
    """Envoy as a bare pass-through with one worker: what a proxy costs that knows nothing of LLMs."""
    program = cache.python(packages.ENVOY) / "envoy"
    config = place.write("envoy.json", json.dumps(envoy_config(place.ports[0], place.provider_port)))
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Launch(command=(str(program), "-c", config, *options), port=place.ports[0])


def envoy_config(port: int, provider_port: int) -> dict[str, Any]:
    """Return Envoy's bootstrap: one listener, one route, one cluster; no access log."""
    types = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{types}.http.router.v3.Router"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "0s"}}
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "callers",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(provider_port)}}]}]
    cluster = {
        "name": "provider",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "provider", "endpoints": endpoints},
    }
    listener = {"name": "callers", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def hello(_cache: Cache, place: Place) -> Launch:
    """Uvicorn with a raw ASGI application that answers itself: what the server alone costs us."""
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    command = (packages.own_python(), "-m", "uvicorn", "gateways.hello:app", *options)
    return Launch(command=(*command, "--port", str(place.ports[0])), port=place.ports[0])


CONTENDERS: Final = (
    OURS,
    COMPILED,
    Contender("ferro", "Ferro gateway (Go)", packages.FERRO.version, "gateway", ferro),
    Contender("ccr", "claude-code-router (Node)", packages.CODE_ROUTER.version, "gateway", code_router),
    Contender("portkey", "Portkey gateway (Node)", packages.PORTKEY.version, "gateway", portkey),
    Contender("litellm", "LiteLLM (Python)", packages.LITELLM.version, "gateway", litellm),
    Contender("envoy", "Envoy, bare pass-through", packages.ENVOY.version, "limit", envoy),
    Contender("hello", "uvicorn alone, answering itself", "", "limit", hello, forwards=False),
)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _node() -> str:
    program = shutil.which("node")
    if program is None:
        raise packages.CannotInstall("there is no node on this machine")
    return program
