"""The language of an AlertRule's condition: text -> a checked expression, or where and what the mistake is.

Comparisons of one metric with one literal, joined with `&&`, `||`, `!` and parentheses; `&&` binds tighter
than `||`. Types are checked, nothing is ever executed as code. Judging an expression is the operator's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Final, TypeAlias

from cliproxy_api.durations import parse_duration_s

MAX_DEPTH: Final = 32
"""Nested parentheses and negations; a person needs three."""
HEALTH_WORDS: Final = ("healthy", "degraded", "unhealthy", "unknown")


class Sort(Enum):
    """What a metric may be compared with; the value says it in an error."""

    COUNT = "a number such as 10"
    RATIO = "a share such as 0.05 or 5%"
    LATENCY = "a duration such as 5s or 800ms"
    USD = "an amount in US dollars such as 10 or 2.50"
    HEALTH = 'one of "healthy", "degraded", "unhealthy" and "unknown", with == or !='
    FLAG = "true or false, with == or !=, or with nothing"


METRICS: Final = {
    "error_rate": Sort.RATIO,
    "rate_limit_count": Sort.COUNT,
    "p50_latency": Sort.LATENCY,
    "p95_latency": Sort.LATENCY,
    "p99_latency": Sort.LATENCY,
    "requests_per_minute": Sort.COUNT,
    "tokens_per_minute": Sort.COUNT,
    "provider_health": Sort.HEALTH,
    "in_cooldown": Sort.FLAG,
    "cooldown_count": Sort.COUNT,
    "quota_remaining_ratio": Sort.RATIO,
    "cost_per_hour": Sort.USD,
    "budget_used_ratio": Sort.RATIO,
    "cache_hit_ratio": Sort.RATIO,
    "authentication_failures": Sort.COUNT,
    "sidecars_unsynced": Sort.COUNT,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric against one literal."""

    metric: str
    operator: str
    """One of == != < <= > >=."""
    value: float | str | bool
    """Shares as 0 to 1, latencies in seconds, health as its word."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    term: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    """`&&`: every term holds."""

    terms: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`||`: one term at least holds."""

    terms: "tuple[Expression, ...]"


Expression: TypeAlias = Comparison | Not | All | AnyOf


@dataclass(frozen=True, slots=True)
class ConditionError:
    """A mistake in a condition: the user's, reported with its place."""

    position: int
    """The character at fault, counted from 1."""
    message: str

    def __str__(self) -> str:
        """Say where and what."""
        return f"at character {self.position}: {self.message}"


def parse_condition(text: str) -> Expression | ConditionError:
    """Return the checked expression, or the first mistake; never raises."""
    try:
        return _Parser(text).whole()
    except _MistakeError as mistake:
        return mistake.error


_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<sign>&&|\|\||[=!<>]=|[<>!()])
        |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
        |(?P<number>[0-9][0-9.]*[A-Za-z0-9]*%?)
        |(?P<text>"[^"]*"|'[^']*')
        |(?P<end>$)
        |(?P<other>.))""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_SLIPS: Final = {"and": "&&", "or": "||", "not": "!", "&": "&&", "|": "||", "=": "=="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else self.text[:40]


class _MistakeError(Exception):
    def __init__(self, token: _Token, message: str) -> None:
        self.error = ConditionError(token.position, message)


class _Parser:
    """Recursive descent over the tokens; one method per level of binding."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._any_of()
        token = self._look()
        if token.kind != "end":
            raise _MistakeError(token, _unexpected(token, "&&, || or the end"))
        return found

    def _any_of(self) -> Expression:
        terms = [self._all()]
        while self._accept("||"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else AnyOf(tuple(terms))

    def _all(self) -> Expression:
        terms = [self._term()]
        while self._accept("&&"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self) -> Expression:
        token = self._look()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _MistakeError(token, f"nested more than {MAX_DEPTH} deep")
        found: Expression
        if self._accept("!"):
            found = Not(self._term())
        elif self._accept("("):
            found = self._any_of()
            if not self._accept(")"):
                raise _MistakeError(self._look(), f"the ( at character {token.position} is not closed")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Expression:
        name = self._take()
        if name.kind != "word" or name.text in _SLIPS:
            raise _MistakeError(name, _unexpected(name, "a metric"))
        sort = METRICS.get(name.text)
        if sort is None:
            raise _MistakeError(name, _unknown_metric(name.text))
        if sort is Sort.FLAG and self._look().text not in _COMPARISONS:
            return Comparison(name.text, "==", value=True)
        operator = self._take()
        if operator.text not in _COMPARISONS:
            raise _MistakeError(operator, _unexpected(operator, f"a comparison after {name.text}"))
        if sort in (Sort.HEALTH, Sort.FLAG) and operator.text not in ("==", "!="):
            raise _MistakeError(operator, f"{name.text} is compared with {sort.value}")
        return Comparison(name.text, operator.text, _literal(name.text, sort, self._take()))

    def _look(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _accept(self, sign: str) -> bool:
        if self._look().kind != "sign" or self._look().text != sign:
            return False
        self._next += 1
        return True


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "end"
        yield _Token(kind, match[kind], match.start(kind) + 1)
        if kind == "end":
            return


def _literal(metric: str, sort: Sort, token: _Token) -> float | str | bool:
    value = _value(sort, token)
    if value is None:
        raise _MistakeError(token, f"{metric} is compared with {sort.value}, not with {token}")
    return value


def _value(sort: Sort, token: _Token) -> float | str | bool | None:
    match sort:
        case Sort.HEALTH:
            return word if token.kind == "text" and (word := token.text[1:-1]) in HEALTH_WORDS else None
        case Sort.FLAG:
            return {"true": True, "false": False}.get(token.text) if token.kind == "word" else None
        case Sort.LATENCY:
            return _seconds(token.text) if token.kind == "number" else None
        case Sort.RATIO if token.text.endswith("%"):
            percent = _number(token.text[:-1])
            return None if percent is None else percent / 100
        case _:
            return _number(token.text) if token.kind == "number" else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text, re.ASCII) else None


def _seconds(text: str) -> float | None:
    try:
        return parse_duration_s(text)
    except ValueError:
        return None


def _unexpected(token: _Token, wanted: str) -> str:
    slip = _SLIPS.get(token.text.lower())
    return f"expected {wanted}, not {token}" + (f"; write {slip}" if slip else "")


def _unknown_metric(name: str) -> str:
    close = get_close_matches(name.lower(), METRICS, n=1)
    advice = f"did you mean {close[0]}?" if close else f"known are {', '.join(METRICS)}"
    return f"there is no metric {name[:40]}; {advice}"
