"""Names, addresses and manifests of the demonstration: what examples/demo says, as Python sees it."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from cliproxy_dev.process import ProcessFailed

EXAMPLES: Final = Path(__file__).resolve().parents[3] / "examples" / "demo"
MANIFESTS: Final = ("policy.yaml", "providers.yaml", "profile.yaml", "pods.yaml")
NAMESPACE: Final = "demo"
OPERATOR_NAMESPACE: Final = "cliproxy-system"
PODS: Final = ("app-1", "app-2")
SUMMARY_ALL: Final = f"{len(PODS)}/{len(PODS)}"
PROVIDER_PORT: Final = 8080
PROVIDER_CONTROL_PORT: Final = 8081

_BLOCK: Final = "127.0.2."
"""The address block written in examples/demo; another world at the same time gets another one."""
_BLOCKS: Final = range(2, 250)
_LOCK_PORT: Final = 8079
"""Held on a block's first address: this block is ours."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """One scripted provider, as examples/demo/providers.yaml expects it."""

    kind: str
    host: int
    """Last part of its address."""
    key: str


SCRIPTED: Final[Mapping[str, Scripted]] = {
    "claude": Scripted("anthropic", 11, "sk-ant-demo-primary"),
    "claude-backup": Scripted("anthropic", 12, "sk-ant-demo-backup"),
    "openai": Scripted("openai", 13, "sk-demo-openai"),
    "vllm": Scripted("openai", 14, "sk-demo-vllm"),
}


@contextlib.contextmanager
def own_block() -> Iterator[str]:
    """Hold a /24 of loopback addresses that no other world has, such as "127.0.2."."""
    for number in _BLOCKS:
        block = f"127.0.{number}."
        with socket.socket() as lock:
            try:
                lock.bind((f"{block}1", _LOCK_PORT))
            except OSError:
                continue
            yield block
            return
    raise ProcessFailed(f"all of {len(_BLOCKS)} loopback blocks are taken; are other runs still going?")


def manifest(name: str, block: str, run_dir: Path) -> Path:
    """Return examples/demo/NAME, or a copy of it in `run_dir` if the address block is another."""
    source = EXAMPLES / name
    if block == _BLOCK:
        return source
    copy = run_dir / "manifests" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(source.read_text("utf-8").replace(_BLOCK, block), "utf-8")
    return copy


def documents(block: str, run_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield every object of examples/demo, in the order of applying."""
    for name in MANIFESTS:
        yield from yaml.safe_load_all(manifest(name, block, run_dir).read_text("utf-8"))


def control_url(name: str, block: str) -> str:
    """Return where a scripted provider takes its script."""
    return f"http://{block}{SCRIPTED[name].host}:{PROVIDER_CONTROL_PORT}"


def providers_arguments(block: str) -> list[str]:
    """Return the scripted providers' command line."""
    arguments = []
    for name, it in SCRIPTED.items():
        where = f"host={block}{it.host},port={PROVIDER_PORT},control-port={PROVIDER_CONTROL_PORT}"
        arguments += ["--provider", f"name={name},kind={it.kind},{where},key={it.key}"]
    return arguments
