"""What objects say of money, as numbers: providers with their prices, consumers with what they have used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from cliproxy_api.money import parse_nano_usd
from cliproxy_api.pricing import Buckets, model_pricing
from cliproxy_api.resources.llmprovider import LLMProviderSpec
from cliproxy_api.resources.llmprovider_status import CostStatus, ModelCost
from cliproxy_api.resources.proxyprofile import ConsumerSpent
from cliproxy_api.snapshot import Pricing


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpent:
    """One model of one provider, this month."""

    model: str
    nano_usd: int
    estimated_nano_usd: int
    saved_nano_usd: int
    """What answers that were given again had cost."""
    requests: int
    reused: int
    tokens: Buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpent:
    """One provider."""

    namespace: str
    name: str
    enabled: bool
    prices: Mapping[str, Pricing | None]
    """Of each model it serves; None: unknown."""
    today: int
    """Nano-dollars since midnight UTC."""
    month: int
    """Nano-dollars since the 1st of the month."""
    days: Mapping[date, int]
    """Nano-dollars of earlier days; absent days have cost nothing, or are before the first known one."""
    models: tuple[ModelSpent, ...]

    @property
    def id(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerTotals:
    """One consumer, in nano-dollars."""

    id: str
    """"namespace/profile/name"."""
    today: int
    week: int
    """Since Monday."""
    month: int


def provider_spent(
    namespace: str, name: str, spec: LLMProviderSpec, cost: CostStatus | None, today: date
) -> ProviderSpent:
    """Return what a provider has cost; figures of another day or month than `today`'s are none of today's."""
    prices = {model.name: model_pricing(model.pricing, spec.cost_per_1k_tokens) for model in spec.models}
    told = cost or CostStatus()
    at = _day(told.day)
    is_today = at == today
    is_month = at is not None and (at.year, at.month) == (today.year, today.month)
    days = {day: _amount(one.cost) for one in told.days if (day := _day(one.day)) is not None and day < today}
    if at is not None and at < today:  # nobody has written since; the figure is that day's last
        days[at] = max(days.get(at, 0), _amount(told.today))
    return ProviderSpent(
        namespace=namespace,
        name=name,
        enabled=spec.enabled,
        prices=prices,
        today=_amount(told.today) if is_today else 0,
        month=_amount(told.this_month) if is_month else 0,
        days={day: nano_usd for day, nano_usd in days.items() if nano_usd},
        models=tuple(_model(one) for one in told.models) if is_month else (),
    )


def consumers_spent(
    namespace: str, profile: str, consumers: Iterable[ConsumerSpent], today: date
) -> tuple[ConsumerTotals, ...]:
    """Return what a profile's consumers have spent, as far as it is of the present periods."""
    found = []
    for one in consumers:
        at = _day(one.day)
        if at is None:
            continue
        same_week = at.isocalendar()[:2] == today.isocalendar()[:2]
        same_month = (at.year, at.month) == (today.year, today.month)
        found.append(
            ConsumerTotals(
                id=f"{namespace}/{profile}/{one.name}",
                today=_amount(one.today) if at == today else 0,
                week=_amount(one.this_week) if same_week else 0,
                month=_amount(one.this_month) if same_month else 0,
            )
        )
    return tuple(found)


def _model(one: ModelCost) -> ModelSpent:
    return ModelSpent(
        model=one.model,
        nano_usd=_amount(one.cost),
        estimated_nano_usd=_amount(one.estimated_cost),
        saved_nano_usd=_amount(one.saved),
        requests=one.requests or 0,
        reused=one.reused or 0,
        tokens=Buckets(
            input=one.input_tokens or 0,
            cached_input=one.cached_input_tokens or 0,
            cache_write=one.cache_write_tokens or 0,
            output=one.output_tokens or 0,
            reasoning=one.reasoning_tokens or 0,
        ),
    )


def _amount(text: str | None) -> int:
    try:
        return parse_nano_usd(text or "0")
    except ValueError:
        return 0


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
