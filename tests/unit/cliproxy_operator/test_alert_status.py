"""An AlertRule's status: what is worth a write, which Events it posts, what its diagnostics say."""

from datetime import timedelta

import msgspec

from cliproxy_api.conditions import ConditionType, Reason, find_condition
from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.common import Condition
from cliproxy_api.vocabulary import ConditionStatus, Delivery
from cliproxy_operator.compile import compile_namespace, needed_secrets
from cliproxy_operator.events import alertrule_events
from cliproxy_operator.inputs import AddressRules, Inputs, Kind, ObjectKey, SecretView
from cliproxy_operator.status.alertrule import merge_alertrule_status
from cliproxy_operator.status.writing import worth_writing
from cliproxy_operator.validate import Diagnostic, Severity
from support.alerting import BAD, GOOD, UNKNOWN, Play
from support.objects import NAMESPACE, alert_rule

REF = {"name": "pager", "key": "routing"}
PAGER = {"name": "page", "pagerduty": {"routingKeySecretRef": REF}}
HOOK = {"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}


def merged(
    play: Play, previous: AlertRuleStatus | None = None, found: tuple[Diagnostic, ...] = ()
) -> AlertRuleStatus:
    return merge_alertrule_status(
        previous, generation=1, diagnostics=found, alerts=play.alerts, now_utc=play.now
    )


def condition(status: AlertRuleStatus, kind: ConditionType) -> Condition:
    found = find_condition(status.conditions, kind)
    assert found is not None
    return found


def found(
    *notifications: object, secrets: dict[str, SecretView | None] | None = None
) -> tuple[Diagnostic, ...]:
    inputs = Inputs(
        namespace=NAMESPACE,
        alert_rules=(alert_rule(notifications=list(notifications)),),
        secrets={(NAMESPACE, name): view for name, view in (secrets or {}).items()},
        addresses=AddressRules(),
    )
    return compile_namespace(inputs).diagnostics[ObjectKey(Kind.ALERT_RULE, NAMESPACE, "failing")]


def test_counts_and_the_worst_state() -> None:
    play = Play(alert_rule(duration="10s")).at(0, a=BAD, b=GOOD).at(10, a=BAD, b=BAD)
    status = merged(play)
    assert (status.state, status.firing, status.pending) == ("Firing", 1, 1)
    assert merged(play, status) == status


def test_a_state_is_written_at_once_and_what_nobody_knows_later() -> None:
    play = Play().at(0, a=GOOD)
    quiet = merged(play)
    assert worth_writing(quiet, merged(play.at(100, a=GOOD), quiet), last_write=0.0, now=100.0) is None
    unknown = merged(play.at(101, a=UNKNOWN), quiet)
    assert worth_writing(quiet, unknown, last_write=95.0, now=101.0) == 110.0
    firing = merged(play.at(102, a=BAD), quiet)
    assert worth_writing(quiet, firing, last_write=101.9, now=102.0) == 102.0
    play.at(104, a=BAD).deliver()
    told = merged(play, firing)
    assert worth_writing(firing, told, last_write=103.9, now=104.0) == 104.0
    assert worth_writing(told, merged(play.at(5000, a=BAD), told), last_write=104.0, now=5000.0) is None


def test_a_failing_channel_is_named() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    assert condition(merged(play), ConditionType.DELIVERING).status is ConditionStatus.UNKNOWN
    play.deliver(result=Delivery.FAILED)
    failing = condition(merged(play), ConditionType.DELIVERING)
    assert (failing.status, failing.reason) == (ConditionStatus.FALSE, Reason.NOTIFICATION_FAILED)
    assert failing.message == "hook: answered 500 (since 2026-11-21T12:00:02Z)"
    play.at(20, a=BAD).deliver()
    assert condition(merged(play), ConditionType.DELIVERING).status is ConditionStatus.TRUE


def test_events_tell_transitions_once() -> None:
    play = Play(alert_rule(duration="10s")).at(0, a=BAD, b=BAD, c=GOOD)
    first = merged(play)
    assert [(event.reason, event.message) for event in alertrule_events(None, first)] == [
        ("AlertPending", "the condition holds for a, b")
    ]
    second = merged(play.at(10, a=BAD, b=GOOD, c=GOOD), first)
    assert [event.reason for event in alertrule_events(first, second)] == ["AlertFiring"]
    play.at(12, a=BAD, b=GOOD, c=GOOD).deliver(result=Delivery.FAILED)
    third = merged(play, second)
    assert [(event.type, event.reason) for event in alertrule_events(second, third)] == [
        ("Warning", "NotificationFailed")
    ]
    fourth = merged(play.at(30, a=GOOD, b=GOOD, c=GOOD), third)
    assert [event.reason for event in alertrule_events(third, fourth)] == ["AlertResolved"]
    assert alertrule_events(fourth, fourth) == ()


def test_a_provider_that_is_gone_is_told_to_be_over() -> None:
    play = Play().at(0, a=BAD)
    before = merged(play)
    after = msgspec.structs.replace(before, providers=())
    assert [event.reason for event in alertrule_events(before, after)] == ["AlertResolved"]


def test_a_missing_secret_is_a_warning_that_makes_the_rule_unready() -> None:
    missing = found(PAGER, HOOK)
    assert [(one.severity, one.reason, one.path) for one in missing] == [
        (Severity.WARNING, "SecretNotFound", "spec.notifications[0].pagerduty.routingKeySecretRef")
    ]
    assert "'pager'" in missing[0].message
    status = merged(Play(), found=missing)
    assert condition(status, ConditionType.ACCEPTED).status is ConditionStatus.TRUE
    assert condition(status, ConditionType.READY).status is ConditionStatus.FALSE
    assert condition(status, ConditionType.STALLED).reason == "SecretNotFound"
    again = merged(Play(), status)
    assert condition(again, ConditionType.READY).status is ConditionStatus.TRUE
    assert find_condition(again.conditions, ConditionType.STALLED) is None


def test_a_secret_without_the_key_and_one_with_it() -> None:
    assert [one.reason for one in found(PAGER, secrets={"pager": SecretView({"other": "d"})})] == [
        "SecretKeyNotFound"
    ]
    assert found(PAGER, secrets={"pager": SecretView({"routing": "d"})}) == ()
    inputs = Inputs(namespace=NAMESPACE, alert_rules=(alert_rule(notifications=[PAGER]),))
    assert needed_secrets(inputs) == {(NAMESPACE, "pager")}


def test_channels_may_not_point_where_providers_may_not() -> None:
    metadata = {"name": "am", "alertmanager": {"url": "http://169.254.169.254/"}}
    mail = {
        "name": "mail",
        "email": {"to": ["a@example.com"], "from": "b@example.com", "smtpHost": "169.254.169.254:25"},
    }
    refused = found(metadata, mail)
    assert [(one.severity, one.reason) for one in refused] == [(Severity.ERROR, "AddressRefused")] * 2
    assert [one.path for one in refused] == [
        "spec.notifications[0].alertmanager.url",
        "spec.notifications[1].email.smtpHost",
    ]


def test_a_repeat_interval_is_not_lost_over_a_restart() -> None:
    play = Play(alert_rule(repeatInterval="10m")).at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    play.restart()
    assert play.at(601, a=BAD).deliver() is None
    assert play.now - play.sent[0][3] < timedelta(minutes=10)
