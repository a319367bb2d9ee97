"""From verdicts to messages: when an alert fires, who hears of it, how often, and when it is over."""

from datetime import timedelta

from cliproxy_api.resources.alertrule import AlertRuleStatus, ChannelStatus, ProviderAlert
from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.alerts.restoring import adopt, restore
from cliproxy_operator.alerts.rule import RuleAlerts, Told
from support.alerting import BAD, GOOD, START, UNKNOWN, Play
from support.objects import alert_rule

AM = {"name": "am", "alertmanager": {"url": "http://127.0.0.1:9093"}}
HOOK = {"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}


def test_without_a_duration_it_fires_at_once() -> None:
    play = Play().at(0, a=BAD)
    assert play.state() is AlertState.FIRING
    assert play.deliver() is None, "a burst is waited for"
    assert play.at(2, a=BAD).deliver() is not None
    assert [(name, fires) for _, name, fires, _ in play.sent] == [("a", True)]


def test_it_is_pending_for_its_duration() -> None:
    play = Play(alert_rule(duration="1m")).at(0, a=BAD)
    assert play.state() is AlertState.PENDING
    assert play.at(59.9, a=BAD).state() is AlertState.PENDING
    assert play.at(60, a=BAD).state() is AlertState.FIRING
    assert play.alerts.entries["a"].standing.fired_at == START + timedelta(seconds=60)


def test_a_moment_of_good_begins_the_duration_anew() -> None:
    play = Play(alert_rule(duration="1m")).at(0, a=BAD).at(30, a=GOOD)
    assert play.state() is AlertState.INACTIVE
    assert play.at(40, a=BAD).at(80, a=BAD).state() is AlertState.PENDING
    assert play.at(100, a=BAD).state() is AlertState.FIRING


def test_what_is_not_known_never_begins_anything() -> None:
    play = Play().at(0, a=UNKNOWN).at(3600, a=UNKNOWN)
    assert play.state() is AlertState.INACTIVE
    assert play.alerts.entries["a"].unknown == ("error_rate",)
    assert play.status().providers[0].unknown == ("error_rate",)


def test_what_is_not_known_neither_pages_nor_resolves_for_a_while() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    assert play.at(10, a=UNKNOWN).state() is AlertState.FIRING
    assert play.at(309, a=UNKNOWN).state() is AlertState.FIRING
    assert play.at(310, a=UNKNOWN).state() is AlertState.INACTIVE


def test_it_is_over_after_the_condition_was_false_long_enough() -> None:
    play = Play(alert_rule(resolve={"after": "2m"})).at(0, a=BAD).at(10, a=GOOD)
    assert play.state() is AlertState.FIRING
    assert play.at(60, a=BAD).at(100, a=GOOD).at(219, a=GOOD).state() is AlertState.FIRING
    assert play.at(220, a=GOOD).state() is AlertState.INACTIVE


def test_a_burst_over_many_providers_is_one_message() -> None:
    many = {f"p{number}": BAD for number in range(30)}
    play = Play().at(0, **dict(list(many.items())[:10])).at(1, **many)
    assert play.at(2, **many).deliver() is not None
    assert play.messages == 1
    assert len(play.sent) == 30


def test_what_comes_later_keeps_its_distance() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    assert play.at(6, a=BAD, b=BAD).deliver() is None
    assert play.at(11.9, a=BAD, b=BAD).deliver() is None
    second = play.at(12, a=BAD, b=BAD).deliver()
    assert second is not None
    assert (second.firing, second.still) == (("b",), ("a",))


def test_it_is_told_again_after_the_interval_and_not_before() -> None:
    play = Play(alert_rule(repeatInterval="10m")).at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    assert play.at(601, a=BAD).deliver() is None
    assert play.at(602, a=BAD).deliver() is not None
    assert play.at(603, a=BAD).deliver() is None


def test_over_is_told_once() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    play.at(20, a=GOOD).at(22, a=GOOD)
    over = play.deliver()
    assert over is not None
    assert over.over == ("a",)
    assert play.at(100, a=GOOD).deliver() is None
    assert play.alerts.entries["a"].told == {}


def test_what_nobody_was_told_of_is_not_told_to_be_over() -> None:
    play = Play().at(0, a=BAD).at(1, a=GOOD)
    assert play.at(60, a=GOOD).deliver() is None


def test_over_is_not_told_if_nobody_wants_to_hear_it() -> None:
    play = Play(alert_rule(resolve={"notify": False})).at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    assert play.at(20, a=GOOD).at(40, a=GOOD).deliver() is None
    assert play.alerts.entries["a"].told == {}


def test_what_is_over_while_it_is_being_told_is_told_to_be_over_only_if_that_is_wanted() -> None:
    for notify in (True, False):
        play = Play(alert_rule(resolve={"notify": notify})).at(0, a=BAD).at(2, a=BAD)
        firing = play.alerts.owed("hook", play.now)
        assert isinstance(firing, Owed)
        play.alerts.tried("hook", play.now)
        play.at(4, a=GOOD).alerts.settle("hook", firing, Told(play.now, Delivery.DELIVERED))
        over = play.at(40, a=GOOD).deliver()
        assert (over is not None) is notify
        assert play.at(60, a=BAD).at(62, a=BAD).deliver() is not None, "another alert is news"


def test_a_suspended_rule_is_judged_and_nobody_is_told_until_it_is_not() -> None:
    play = Play(alert_rule(suspend=True)).at(0, a=BAD).at(60, a=BAD)
    assert play.state() is AlertState.FIRING
    assert play.deliver() is None
    play.alerts.configure(alert_rule().spec, 2)
    assert play.deliver() is not None


def test_a_failing_channel_leaves_the_other_alone() -> None:
    rule = alert_rule(notifications=[HOOK, {**HOOK, "name": "page"}])
    play = Play(rule).at(0, a=BAD).at(2, a=BAD)
    play.deliver("hook", Delivery.FAILED)
    play.deliver("page")
    assert list(play.alerts.entries["a"].told) == ["page"]
    assert play.alerts.channels["hook"].result is Delivery.FAILED
    assert play.at(12, a=BAD).deliver("page") is None
    assert play.deliver("hook") is not None
    assert play.alerts.channels["hook"].result is Delivery.DELIVERED


def test_the_same_failure_again_is_no_news() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver(result=Delivery.FAILED)
    before = play.status()
    play.at(30, a=BAD).deliver(result=Delivery.FAILED)
    assert play.status() == before


def test_a_channel_that_cannot_be_told_that_it_is_over_is_let_go() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    play.at(20, a=GOOD).at(30, a=GOOD).deliver(result=Delivery.FAILED)
    assert play.at(3000, a=GOOD).alerts.entries["a"].told
    assert play.at(3630, a=GOOD).alerts.entries["a"].told == {}


def test_a_provider_that_is_gone_is_over_and_then_forgotten() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    over = play.at(20).at(22).deliver()
    assert over is not None
    assert over.over == ("a",)
    assert "a" not in play.at(23).alerts.entries


def test_a_pending_alert_under_another_condition_begins_anew() -> None:
    play = Play(alert_rule(duration="1m")).at(0, a=BAD).at(50, a=BAD)
    play.alerts.configure(alert_rule(condition="error_rate > 1%", duration="1m").spec, 2)
    assert play.at(61, a=BAD).state() is AlertState.PENDING
    assert play.at(121, a=BAD).state() is AlertState.FIRING


def test_a_firing_alert_stays_when_its_rule_changes() -> None:
    play = Play().at(0, a=BAD).at(2, a=BAD)
    play.deliver()
    play.alerts.configure(alert_rule(condition="error_rate > 1%").spec, 2)
    assert play.at(20, a=BAD).deliver() is None
    assert play.state() is AlertState.FIRING


def test_an_alertmanager_is_told_again_before_it_forgets_and_status_does_not_change() -> None:
    play = Play(alert_rule(notifications=[AM], repeatInterval="1m")).at(0, a=BAD).at(2, a=BAD)
    play.deliver("am")
    before = play.status()
    assert play.at(61, a=BAD).deliver("am") is None
    again = play.at(63, a=BAD).deliver("am")
    assert again is not None
    assert (again.firing, again.still) == ((), ("a",))
    assert play.status() == before
    assert play.restart().deliver("am") is not None, "a new leader keeps it up at once"


def test_a_restart_forgets_nothing() -> None:
    play = Play(alert_rule(duration="1m", repeatInterval="10m")).at(0, a=BAD, b=GOOD)
    before = play.status()
    assert play.restart().status() == before
    play.at(60, a=BAD).at(62, a=BAD).deliver()
    before = play.status()
    play.restart()
    assert play.status() == before
    assert play.at(500, a=BAD).deliver() is None
    assert play.at(662, a=BAD).deliver() is not None


def test_pending_restored_under_another_generation_begins_anew() -> None:
    play = Play(alert_rule(duration="1m")).at(0, a=BAD)
    status = play.status()
    other = RuleAlerts(play.rule.spec, 2)
    restore(other, status, play.now)
    assert other.entries == {}


def test_dates_of_another_hand_do_not_silence_an_alert() -> None:
    alerts = RuleAlerts(alert_rule().spec, 1)
    odd = ProviderAlert(provider="a", state=AlertState.PENDING, since="2999-01-01T00:00:00Z")
    unreadable = ProviderAlert(provider="b", state=AlertState.FIRING, since="yesterday")
    restore(alerts, AlertRuleStatus(observed_generation=1, providers=(odd, unreadable)), START)
    assert alerts.entries["a"].standing.since == START
    assert "b" not in alerts.entries


def test_a_former_leader_whose_clock_was_ahead_silences_no_channel() -> None:
    play = Play()
    ahead = ChannelStatus(name="hook", at="2999-01-01T00:00:00Z", result=Delivery.DELIVERED)
    restore(play.alerts, AlertRuleStatus(observed_generation=1, channels=(ahead,)), START)
    assert play.alerts.channels["hook"].at == START
    play.at(5, a=BAD)
    assert play.at(9, a=BAD).deliver() is None, "the distance is kept all the same"
    assert play.at(10, a=BAD).deliver() is not None


def test_a_backup_of_a_clock_that_was_ahead_says_nothing_of_the_future() -> None:
    play = Play()
    ahead = ChannelStatus(name="hook", at="2999-01-01T00:00:00Z", result=Delivery.FAILED)
    adopt(play.alerts, AlertRuleStatus(observed_generation=1, channels=(ahead,)), START)
    assert play.alerts.channels["hook"].at == START


def test_a_clock_that_is_set_back_silences_no_channel() -> None:
    play = Play().at(3600, a=BAD).at(3602, a=BAD)
    play.deliver()
    play.at(0, a=BAD, b=BAD)
    assert play.at(2, a=BAD, b=BAD).deliver() is not None
    assert [(name, at - START) for _, name, _, at in play.sent] == [
        ("a", timedelta(seconds=3602)),
        ("b", timedelta(seconds=2)),
    ]
    assert play.at(4, a=BAD, b=BAD, c=BAD).at(11, a=BAD, b=BAD, c=BAD).deliver() is None, "as ever"
    assert play.at(12, a=BAD, b=BAD, c=BAD).deliver() is not None


def test_a_clock_that_is_set_back_does_not_let_an_alertmanager_forget() -> None:
    play = Play(alert_rule(notifications=[AM])).at(3600, a=BAD).at(3602, a=BAD)
    play.deliver("am")
    again = play.at(100, a=BAD).deliver("am")
    assert again is not None
    assert again.still == ("a",)
    assert play.at(110, a=BAD).deliver("am") is None


def test_status_lists_the_worst_first() -> None:
    play = Play(alert_rule(duration="10s")).at(0, c=BAD).at(10, a=GOOD, b=BAD, c=BAD)
    assert [(one.provider, one.state) for one in play.status().providers] == [
        ("c", AlertState.FIRING),
        ("b", AlertState.PENDING),
        ("a", AlertState.INACTIVE),
    ]
