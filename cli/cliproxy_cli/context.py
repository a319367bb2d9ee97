"""What a command works with: the person's options, the API server, the clock, and where to print.

A command gets one `Context` and touches nothing else of the world, so that a test can hand it all of it.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TextIO

from cliproxy_cli.access import find_endpoint
from cliproxy_cli.kube import Kube
from cliproxy_cli.output import Row, dump, table, wants_colours


def _utc() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- a command's clock is this


@dataclass(kw_only=True)
class Context:
    """One run of one command."""

    options: argparse.Namespace
    environment: Mapping[str, str]
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    now_utc: Callable[[], datetime] = _utc
    sleep: Callable[[float], None] = time.sleep

    def option(self, name: str, default: Any = None) -> Any:
        """Return an option that may stand before or after the command's name; it is absent unless given."""
        return getattr(self.options, name, default)

    @cached_property
    def kube(self) -> Kube:
        """The API server of the chosen context. Raises `CommandFailed` if there is no way to one."""
        return Kube(
            find_endpoint(
                self.environment,
                kubeconfig=self.option("kubeconfig", ""),
                context=self.option("context", ""),
            )
        )

    @property
    def namespace(self) -> str | None:
        """The namespace to look at; None: all of them."""
        if self.option("all_namespaces"):
            return None
        return self.own_namespace

    @property
    def own_namespace(self) -> str:
        """The namespace of -n, else the context's, else `default`."""
        return str(self.option("namespace", "") or self.kube.endpoint.namespace or "default")

    @property
    def form(self) -> str:
        """How to print: `table`, `wide`, `json`, `yaml` or what else the command offers."""
        return str(self.option("output", "table"))

    @cached_property
    def colours(self) -> bool:
        """Whether to paint."""
        return wants_colours(self.out, self.environment, refused=bool(self.option("no_color")))

    def print(self, text: str) -> None:
        """Write a line to standard output."""
        print(text, file=self.out)

    def note(self, text: str) -> None:
        """Write a line that is not the result: to standard error."""
        print(text, file=self.err)

    def table(self, columns: list[str], rows: Iterable[Row], *, right: Iterable[str] = ()) -> None:
        """Write a table."""
        self.print(table(columns, rows, colours=self.colours, right=frozenset(right)))

    def dump(self, value: Any) -> None:
        """Write a value as the JSON or YAML that was asked for."""
        self.print(dump(value, self.form))
