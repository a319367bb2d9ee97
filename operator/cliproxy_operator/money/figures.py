"""What somebody has used, as numbers that add up: requests, tokens by bucket, nano-dollars."""

from dataclasses import dataclass
from typing import Self

from cliproxy_api.report import UsedEntry
from cliproxy_operator.bounded import count, nano_usd


@dataclass(slots=True)
class Figures:
    """Sums; money in nano-dollars, the five buckets of tokens are disjoint."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0
    estimated_nano_usd: int = 0
    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    reused: int = 0
    """Requests that got another request's answer."""
    saved_nano_usd: int = 0
    """What those answers had cost when they were made."""

    @classmethod
    def told(cls, entry: UsedEntry) -> Self:
        """Return an entry's figures, within bounds."""
        return cls(
            count(entry.requests),
            count(entry.tokens),
            nano_usd(entry.nano_usd),
            nano_usd(entry.estimated_nano_usd),
            count(entry.input),
            count(entry.cached_input),
            count(entry.cache_write),
            count(entry.output),
            count(entry.reasoning),
            count(entry.reused),
            nano_usd(entry.saved_nano_usd),
        )

    def values(self) -> tuple[int, ...]:
        """Return all numbers in the order of the fields."""
        return (
            self.requests,
            self.tokens,
            self.nano_usd,
            self.estimated_nano_usd,
            self.input,
            self.cached_input,
            self.cache_write,
            self.output,
            self.reasoning,
            self.reused,
            self.saved_nano_usd,
        )

    def __bool__(self) -> bool:
        """Whether anything was used at all."""
        return any(self.values())

    def add(self, other: "Figures") -> None:
        """Add up."""
        self.requests += other.requests
        self.tokens += other.tokens
        self.nano_usd += other.nano_usd
        self.estimated_nano_usd += other.estimated_nano_usd
        self.input += other.input
        self.cached_input += other.cached_input
        self.cache_write += other.cache_write
        self.output += other.output
        self.reasoning += other.reasoning
        self.reused += other.reused
        self.saved_nano_usd += other.saved_nano_usd

    def since(self, before: "Figures") -> "Figures":
        """Return what has come on top; never negative."""
        return Figures(*(max(now - old, 0) for now, old in zip(self.values(), before.values(), strict=True)))

    def greater(self, other: "Figures") -> "Figures":
        """Return the greater of the two, number by number."""
        return Figures(*map(max, self.values(), other.values()))
