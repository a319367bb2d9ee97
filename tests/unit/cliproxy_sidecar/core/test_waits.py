"""Values in which providers write waits: read to the letter, or not at all."""

from datetime import UTC, datetime

import pytest

from cliproxy_sidecar.core import waits

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (" 1.5 ", 1.5),
        (str(30 * 86_400 - 1), 30 * 86_400 - 1.0),
        (str(EPOCH + 45), 45.0),
        (f"{EPOCH + 45}.5", 45.5),
        (f"{EPOCH + 60}000", 60.0),
        (str(EPOCH - 5), 0.0),
        ("9999999999999999", waits.MAX_WAIT_S),
    ],
)
def test_numbers_are_seconds_or_epochs(value: str, seconds: float) -> None:
    assert waits.number_s(value, NOW) == seconds


RUBBISH = [
    *(
        "",
        " ",
        "-1",
        "+1",
        "1e9",
        "nan",
        "inf",
        "0x10",
        "1_000",
        "soon",
        "\u0661",
        "1,5",
        "9" * 19,
        str(30 * 86_400),
    ),
    *("1.", ".5", "--", "s", "5 parsecs", "1m-2s", "\x00", "\N{FULLWIDTH DIGIT ONE}s", "\udcff"),
]


@pytest.mark.parametrize("value", RUBBISH)
def test_rubbish_is_unreadable_everywhere(value: str) -> None:
    assert waits.number_s(value, NOW) is None
    assert waits.duration_s(value) is None
    assert waits.retry_after_s(value, NOW) is None
    assert waits.reset_s(value, NOW) is None


@pytest.mark.parametrize("value", [value for value in RUBBISH if not value.startswith("1m")])
def test_rubbish_in_a_sentence_is_no_wait(value: str) -> None:
    assert waits.phrase_s(f"try again in {value}") is None


@pytest.mark.parametrize("value", [value for value in RUBBISH if value != str(30 * 86_400)])
def test_rubbish_is_no_number_of_milliseconds(value: str) -> None:
    assert waits.milliseconds_s(value) is None


def test_milliseconds() -> None:
    assert waits.milliseconds_s("7350") == 7.35
    assert waits.milliseconds_s("9" * 18) == waits.MAX_WAIT_S


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h30m", 5400.0),
        ("500us", 0.0005),
        ("500\u00b5s", 0.0005),
        ("10ns", 1e-8),
        ("45.837906927s", 45.837906927),
        ("2d", 172_800.0),
        ("1 hour 5 minutes", 3900.0),
        ("10 secs", 10.0),
        ("3 mins", 180.0),
        ("250 milliseconds", 0.25),
        ("999999999999999999d", waits.MAX_WAIT_S),
    ],
)
def test_durations_are_summed(value: str, seconds: float) -> None:
    assert waits.duration_s(value) == pytest.approx(seconds)
    assert waits.reset_s(value, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["5m" * 40, "1s" * 9])
def test_durations_are_bounded_in_length(value: str) -> None:
    assert waits.duration_s(value) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Friday, 20-Nov-26 12:00:30 GMT", 30.0),
        ("Fri Nov 20 12:00:30 2026", 30.0),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", waits.MAX_WAIT_S),
    ],
)
def test_retry_after_takes_http_dates(value: str, seconds: float) -> None:
    assert waits.retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    "value", ["Fri, 99 Nov 2026 12:00:30 GMT", "Fri, 31 Dec 9999 23:59:59 -0100", "x" * 65]
)
def test_impossible_dates_are_unreadable(value: str) -> None:
    assert waits.http_date(value) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-11-20T12:00:21Z", 21.0),
        ("2026-11-20T13:00:21+01:00", 21.0),
        ("2026-11-20T12:00:21", 21.0),
        ("2026-11-20T11:00:00Z", 0.0),
    ],
)
def test_resets_take_rfc_3339_instants(value: str, seconds: float) -> None:
    assert waits.reset_s(value, NOW) == seconds


@pytest.mark.parametrize("value", ["2026-13-40T00:00:00Z", "2026-11-20T12:00:21Z" + " " * 60])
def test_impossible_instants_are_unreadable(value: str) -> None:
    assert waits.reset_s(value, NOW) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 1m12.5s. Visit https://example.com", 72.5),
        ("Please try again in 6ms.", 0.006),
        ("Please retry after 27 seconds. Please go here", 27.0),
        ("Rate limit is exceeded. Try again in 19 seconds.", 19.0),
        ("Please retry in 45.8s.", 45.8),
        ("Try again in about 5 minutes", 300.0),
        ("try again in 20m3.07s", 1203.07),
    ],
)
def test_waits_in_sentences_are_found(message: str, seconds: float) -> None:
    found = waits.phrase_s(message)
    assert found is not None
    assert found[0] == pytest.approx(seconds)
    assert found[1] in message.lower()


@pytest.mark.parametrize(
    "message", ["Please try again later.", "retry in 5 stages", "try again in 7sx", "5s"]
)
def test_sentences_without_a_wait_have_none(message: str) -> None:
    assert waits.phrase_s(message) is None
