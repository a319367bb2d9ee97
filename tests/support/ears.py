"""A listener of the operator's links that remembers everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cliproxy_api.report import Hello, Report
from cliproxy_api.snapshot import Position
from cliproxy_operator.transport import Answer, DocumentName
from cliproxy_operator.view import SidecarId


@dataclass
class Ears:
    """Remembers what links bring."""

    hellos: list[Hello] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    answers: list[tuple[DocumentName, Answer]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    ahead: list[Position] = field(default_factory=list)
    depositions: int = 0
    on_ahead: Callable[[Position], None] = lambda _: None

    def greeted(self, sidecar: SidecarId, hello: Hello) -> None:
        self.hellos.append(hello)

    def heard(self, sidecar: SidecarId, report: Report) -> None:
        self.reports.append(report)

    def answered(self, sidecar: SidecarId, document: DocumentName, digest: str, answer: Answer) -> None:
        self.answers.append((document, answer))

    def lost(self, sidecar: SidecarId, reason: str) -> None:
        self.losses.append(reason)

    def outrun(self, sidecar: SidecarId, seen: Position) -> None:
        self.ahead.append(seen)
        self.on_ahead(seen)

    def deposed(self, sidecar: SidecarId, epoch: int) -> None:
        self.depositions += 1
