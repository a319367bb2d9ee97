"""A message for people: a title, one line per provider, and where to look further.

Plain text; escaping it for a wire format is `bodies`'. Bounded: a mail about 500 providers helps nobody.
"""

from datetime import timedelta
from typing import Final

from cliproxy_operator.alerts.figures import spoken
from cliproxy_operator.alerts.message import Line, Message, Reading
from cliproxy_operator.instants import write_instant

MAX_LINES: Final = 20
MAX_NAMES: Final = 5


def title(message: Message) -> str:
    """Return one line: state, rule, severity, which providers."""
    if message.firing:
        head, lines = "FIRING", message.firing
    elif message.fires and not message.over:
        head, lines = "FIRING", message.still
    else:
        head, lines = "RESOLVED", message.over
    many = f":{len(lines)}" if len(lines) > 1 else ""
    where = f"{message.namespace}/{message.rule}"
    return f"[{head}{many}] {where} ({message.severity.value}): {_names(lines)}"


def body(message: Message) -> str:
    """Return the message's lines, newest trouble first."""
    parts = [_sentence(line) for line in (*message.firing, *message.over)[:MAX_LINES]]
    left = len(message.firing) + len(message.over) - MAX_LINES
    if left > 0:
        parts.append(f"and {left} more")
    if message.still:
        parts.append(f"Still firing: {_names(message.still)}.")
    parts += ["", f"Condition: {message.condition}", "Look further:"]
    parts += [f"  {command}" for command in commands(message)]
    return "\n".join(parts)


def commands(message: Message) -> list[str]:
    """Return the kubectl commands that show more."""
    lines = message.firing or message.still or message.over
    first = f" {lines[0].provider}" if len(lines) == 1 else ""
    return [
        f"kubectl -n {message.namespace} describe llmproviders.cliproxy.io{first}",
        f"kubectl -n {message.namespace} describe alertrules.cliproxy.io {message.rule}",
    ]


def lasted(line: Line) -> timedelta | None:
    """Return how long an alert fired, None while it does."""
    return line.until - line.since if line.until is not None else None


def reading(one: Reading) -> str:
    """Return a figure beside what it is compared with."""
    return (
        f"{one.metric} is {spoken(one.metric, one.value)} "
        f"(alert if {one.operator} {spoken(one.metric, one.threshold)})"
    )


def _sentence(line: Line) -> str:
    figures = ", ".join(reading(one) for one in line.readings)
    since = write_instant(line.since)
    if line.until is None:
        return f"{line.provider}: {figures}; firing since {since}"
    return f"{line.provider}: over after {_span(line.until - line.since)} (since {since}); {figures}"


def _names(lines: tuple[Line, ...]) -> str:
    names = ", ".join(line.provider for line in lines[:MAX_NAMES])
    return names + (f" and {len(lines) - MAX_NAMES} more" if len(lines) > MAX_NAMES else "")


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    shown = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return " ".join(f"{count}{unit}" for count, unit in shown if count) or "0s"
