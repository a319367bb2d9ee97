"""What a contender is started with and how it is asked. Starting and asking is left to `serving`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateways import payload
from gateways.packages import Cache

CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One process that listens on loopback and forwards to the provider."""

    command: tuple[str, ...]
    port: int
    env: dict[str, str] = field(default_factory=dict)
    """Added to a bare environment."""
    path: str = CHAT_PATH
    headers: dict[str, str] = field(default_factory=dict)
    configure: Callable[[], Awaitable[None]] | None = None
    """Called until it raises no OSError, before the first request: what is told to the running process."""

    def body(self, *, stream_tokens: int = 0) -> bytes:
        """Return the caller's request."""
        return payload.body(stream_tokens=stream_tokens)

    def request(self, *, stream_tokens: int = 0) -> bytes:
        """Return the caller's request with its head."""
        return payload.request(self.path, self.body(stream_tokens=stream_tokens), self.headers)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a contender runs: a folder of its own, and the port of the provider behind it."""

    home: Path
    provider_port: int
    ports: tuple[int, int, int]
    """Free ones; most contenders take the first only."""

    @property
    def provider_url(self) -> str:
        """The provider's address, without a path."""
        return f"http://127.0.0.1:{self.provider_port}"

    def write(self, name: str, text: str) -> str:
        """Write a file of the contender's and return its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return str(path)


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part."""

    key: str
    title: str
    version: str
    kind: str
    """See `figures.Result.kind`."""
    prepare: Callable[[Cache, Place], Launch]
    """Installs it, if need be (raising `CannotInstall`), and writes its configuration."""
    forwards: bool = True
    """False: it answers by itself, so streams and added latency mean nothing."""
