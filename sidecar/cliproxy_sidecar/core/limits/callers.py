"""Consumers at work: what each may still ask and spend, and what happens when it may not.

Who a request is from `keys` says. Judging is done here, refusing by the data path,
finding a cheaper model by `downgrade`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cliproxy_api.report import Taken
from cliproxy_api.snapshot import Budget, Consumer
from cliproxy_api.state import Spent
from cliproxy_api.vocabulary import OnExceeded, QuotaReset
from cliproxy_sidecar.core.limits.limiter import Hold, Limiter, Refused
from cliproxy_sidecar.core.limits.period import Period, Wall

PERIODS: Final = (QuotaReset.DAILY, QuotaReset.WEEKLY, QuotaReset.MONTHLY)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A budget that is used up; of several the one that lasts longest."""

    period: QuotaReset
    limit: int
    """Nano-dollars."""
    spent: int
    resets_utc: str
    resets: float
    """Monotonic seconds."""
    action: OnExceeded


@dataclass(slots=True, eq=False)
class Call:
    """One request of a consumer that was let in; settled exactly once."""

    caller: "Caller"
    hold: Hold | None
    reserved: int
    periods: tuple[Period, ...] = ()
    """Where it is reserved: the consumer's budget may get other ones meanwhile."""
    tokens: int = 0
    """Used by its attempts so far."""
    nano_usd: int = 0
    exceeded: Exceeded | None = None
    """It goes on over budget."""
    settled: bool = False

    @property
    def over(self) -> str | None:
        """The period whose budget was used up before, and what was done about it; for the log."""
        exceeded = self.exceeded
        return None if exceeded is None else f"{exceeded.period.value}: {exceeded.action.value}"

    def settle(self, now: float) -> None:
        """End the request with what its attempts have used; a second call changes nothing."""
        if self.settled:
            return
        self.settled = True
        if self.hold is not None:
            self.hold.settle(self.tokens, now)
        for period in self.periods:
            period.settle(self.reserved, 0, now)
        for period in self.caller.periods.values():
            period.settle(0, self.nano_usd, now)


@dataclass(slots=True, eq=False)
class Caller:
    """One consumer. `now` is monotonic seconds."""

    consumer: Consumer
    limiter: Limiter | None = None
    periods: dict[QuotaReset, Period] = field(default_factory=dict)
    """Only those that the budget names."""
    attended: bool = False
    """Whether the operator listens."""
    _budgets: tuple[tuple[QuotaReset, int, Period], ...] = ()
    """The same with their limits."""

    @property
    def name(self) -> str:
        """What metrics, costs and logs call it."""
        return self.consumer.name

    def configure(self, consumer: Consumer, wall: Wall, now: float) -> None:
        """Take the consumer's limits; what was used stays used."""
        self.consumer = consumer
        limit, budget = consumer.rate_limit, consumer.budget
        if limit is None:
            self.limiter = None
        elif self.limiter is None:
            self.limiter = Limiter(limit)
            self.limiter.attended = self.attended
        else:
            self.limiter.configure(limit)
        wanted = {} if budget is None else dict(_limits(budget))
        self.periods = {
            reset: self.periods.get(reset) or Period(reset, wall, now) for reset in PERIODS if reset in wanted
        }
        self._budgets = tuple((reset, limit, self.periods[reset]) for reset, limit in wanted.items())

    def share(self, sharers: int) -> None:
        """Keep one part of so many of the rate."""
        if self.limiter is not None:
            self.limiter.share(sharers)

    def keep(self, part: int | None, floor: int | None) -> None:
        """Keep this part of the rate (see `Limiter.keep`)."""
        if self.limiter is not None:
            self.limiter.keep(part, floor)

    def attach(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        """Note whether the operator listens."""
        self.attended = attached
        if self.limiter is not None:
            self.limiter.attended = attached

    def taken(self, now: float) -> Taken | None:
        """Return what the fleet should know of our use of the rate."""
        return None if self.limiter is None else self.limiter.taken(now)

    def tell(self, spent: Spent, now: float) -> None:
        """Take the operator's word on what the consumer has spent in the fleet."""
        told = ((spent.day, QuotaReset.DAILY), (spent.week, QuotaReset.WEEKLY))
        for amount, reset in (*told, (spent.month, QuotaReset.MONTHLY)):
            if (period := self.periods.get(reset)) is not None and amount is not None:
                period.tell(amount.used, amount.until_utc, now)

    def refusal(self, tokens: int, now: float) -> Refused | None:
        """Return which rate limit a request of so many tokens would break."""
        return None if self.limiter is None else self.limiter.refusal(tokens, now)

    def exceeded(self, now: float) -> Exceeded | None:
        """Return the budget that is used up, if one is; what requests in flight reserve counts as spent."""
        found: Exceeded | None = None
        budget = self.consumer.budget
        for reset, limit, period in self._budgets:
            spent = period.used(now)
            if budget is not None and spent >= limit and (found is None or period.ends(now) > found.resets):
                found = Exceeded(
                    reset,
                    limit,
                    spent,
                    period.ends_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    period.ends(now),
                    budget.on_exceeded,
                )
        return found

    def begin(self, tokens: int, nano_usd: int, now: float) -> Call:
        """Let a request in, reserving so much; the call wants to be settled, once."""
        periods = tuple(self.periods.values())
        for period in periods:
            period.reserve(nano_usd)
        hold = None if self.limiter is None else self.limiter.take(tokens, now)
        return Call(self, hold, nano_usd, periods)


def _limits(budget: Budget) -> Iterator[tuple[QuotaReset, int]]:
    for reset, limit in zip(PERIODS, (budget.daily, budget.weekly, budget.monthly), strict=True):
        if limit is not None:
            yield reset, limit
