"""A condition and figures -> does it hold: yes, no, or not known.

Three-valued: what is not known neither holds nor fails, unless the rest decides alone (`known_true ||
unknown` holds). The language is `cliproxy_api.alert_condition`'s.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, assert_never

from cliproxy_api.alert_condition import All, AnyOf, Comparison, Expression, Not
from cliproxy_operator.alerts.figures import Figure

Figures = Mapping[str, Figure]
Verdict: TypeAlias = bool | None
"""Whether a condition holds; None: what is known does not decide it."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(expression: Expression, figures: Figures) -> Verdict:
    """Return whether the condition holds for these figures."""
    match expression:
        case Comparison():
            value = figures.get(expression.metric)
            return None if value is None else _COMPARE[expression.operator](value, expression.value)
        case Not():
            inner = holds(expression.term, figures)
            return None if inner is None else not inner
        case All():
            return _joined([holds(term, figures) for term in expression.terms], decisive=False)
        case AnyOf():
            return _joined([holds(term, figures) for term in expression.terms], decisive=True)
        case _:
            assert_never(expression)


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """Yield the comparisons in the order in which they are written."""
    match expression:
        case Comparison():
            yield expression
        case Not():
            yield from comparisons(expression.term)
        case All() | AnyOf():
            for term in expression.terms:
                yield from comparisons(term)
        case _:
            assert_never(expression)


def metrics_of(expression: Expression) -> tuple[str, ...]:
    """Return the metrics that a condition reads, in order, each once."""
    return tuple(dict.fromkeys(one.metric for one in comparisons(expression)))


def _joined(terms: list[Verdict], *, decisive: bool) -> Verdict:
    if decisive in terms:
        return decisive
    return None if None in terms else not decisive
