"""Audit lines are bounded per minute and event, and what is left out is counted."""

from cliproxy_api.audit import (
    LINES_PER_WINDOW,
    MAX_REASONS,
    MAX_TEXT_CHARS,
    WINDOW_S,
    AuditEvent,
    AuditGate,
    AuditOutcome,
    Remainder,
    audit_fields,
    peer_text,
    remainder_fields,
)

FAILURE, COOLDOWN = AuditEvent.AUTHENTICATION_FAILURE, AuditEvent.MANUAL_COOLDOWN


def test_a_flood_writes_so_many_lines_and_one_that_counts_the_rest() -> None:
    gate = AuditGate()
    written = [gate.admits(FAILURE, "wrong_key", 0.0) for _ in range(1000)]

    assert sum(written) == LINES_PER_WINDOW
    assert gate.wake_at() == WINDOW_S
    assert gate.remainders(WINDOW_S - 1) == ()
    left = 1000 - LINES_PER_WINDOW
    assert gate.remainders(WINDOW_S) == (Remainder(FAILURE, left, {"wrong_key": left}),)
    assert gate.remainders(WINDOW_S) == ()
    assert gate.admits(FAILURE, "wrong_key", WINDOW_S)


def test_a_flood_of_one_event_hides_no_other() -> None:
    gate = AuditGate()
    for _ in range(1000):
        gate.admits(FAILURE, "wrong_key", 0.0)

    assert gate.admits(COOLDOWN, "manual", 0.0)


def test_a_quiet_minute_leaves_nothing_to_tell() -> None:
    gate = AuditGate()
    assert gate.admits(COOLDOWN, "", 0.0)

    assert gate.wake_at() is None
    assert gate.remainders(2 * WINDOW_S) == ()


def test_what_is_counted_at_the_end_of_the_process_is_told_early() -> None:
    gate = AuditGate()
    for number in range(LINES_PER_WINDOW + 40):
        gate.admits(FAILURE, f"reason {number}", 0.0)

    (left,) = gate.remainders(1.0, all_of_them=True)
    assert left.count == sum(left.reasons.values()) == 40
    assert len(left.reasons) == MAX_REASONS + 1


def test_a_line_says_who_what_and_from_where() -> None:
    fields = audit_fields(
        COOLDOWN,
        AuditOutcome.DONE,
        who="ann",
        origin="10.0.0.1:5",
        subject="LLMProvider/a/b",
        duration="1m",
        x=None,
    )

    assert fields == {
        "log": "audit",
        "event": "manual_cooldown",
        "outcome": "done",
        "who": "ann",
        "from": "10.0.0.1:5",
        "object": "LLMProvider/a/b",
        "reason": "",
        "duration": "1m",
    }
    assert len(audit_fields(COOLDOWN, AuditOutcome.DONE, who="x" * 9999)["who"]) == MAX_TEXT_CHARS
    told = remainder_fields(Remainder(FAILURE, 3, {"wrong_key": 3}))
    assert (told["outcome"], told["count"], told["reasons"]) == ("suppressed", 3, {"wrong_key": 3})


def test_addresses_are_written_as_people_write_them() -> None:
    assert [peer_text(peer) for peer in (("10.0.0.1", 5), ("fd00::1", 5, 0, 0), None)] == [
        "10.0.0.1:5",
        "[fd00::1]:5",
        "",
    ]
