"""Cooldowns as callers, the operator and people see them through a real sidecar."""

import asyncio

import pytest

from cliproxy_api.report import Recovered, TrialSettled, TrialStarted, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.state import FleetCooldown
from cliproxy_api.vocabulary import CooldownPhase, LastResort, OutcomeClass
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, HalfStream, Hang, Normal
from support import build
from support.sidecar import RunningSidecar, eventually, running_sidecar

WHOLE = Scope(provider="team-a/gpt")
PATH = "/v0/operations/cooldown/status"


async def periods(sidecar: RunningSidecar) -> dict[str, dict[str, object]]:
    """Return what cools, by provider name."""
    found: dict[str, dict[str, object]] = (await sidecar.get(PATH)).json()["cooldown_periods"]
    return found


async def test_a_rate_limit_cools_what_it_names_and_is_told(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(scripted_openai.preset("openai.rate_limit", retry_after_s=30))
    parts = build.built(scripted_openai, models=("gpt-4o", "gpt-4o-mini"))
    async with running_sidecar(build.push(parts)) as sidecar, sidecar.reports() as reports:
        first, second = await sidecar.chat(), await sidecar.chat()
        other = await sidecar.chat("gpt-4o-mini")
        assert (first.status_code, second.status_code, other.status_code) == (429, 429, 200)
        for refused in (first, second):
            assert 28 <= int(refused.headers["retry-after"]) <= 30
            assert "gpt (the provider limits the rate" in refused.json()["error"]["message"]
        assert (first.headers["x-cliproxy-attempts"], second.headers["x-cliproxy-attempts"]) == ("1", "0")
        assert len(scripted_openai.requests) == 2
        (tripped,) = await reports.wait_for(Tripped)
        assert tripped.scope == Scope(provider="team-a/gpt", credential="main", model="gpt-4o")
        assert tripped.outcome_class is OutcomeClass.RATE_LIMITED
        assert 28 <= tripped.remaining_s <= 30
        assert (tripped.evidence.status, tripped.evidence.sidecar) == (429, "sidecar-1")


async def test_a_pushed_cooldown_turns_callers_away_and_its_end_lets_them_in(
    scripted_openai: ScriptedProvider,
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        assert (await sidecar.push_next(build.state_push(build.cooling(WHOLE)))).status == 200
        refused = await sidecar.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 58 <= int(refused.headers["retry-after"]) <= 60
        assert scripted_openai.requests == []
        await sidecar.push_next(build.state_push())
        assert (await sidecar.chat()).status_code == 200


async def test_an_unhealthy_provider_is_no_candidate(scripted_openai: ScriptedProvider) -> None:
    async with ScriptedProvider(kind="openai", name="spare") as spare:
        parts = (build.built(scripted_openai), build.built(spare, name="spare", priority=2))
        async with running_sidecar(build.push(*parts)) as sidecar:
            await sidecar.push_next(build.state_push(unhealthy=("team-a/gpt",)))
            assert (await sidecar.chat()).headers["x-cliproxy-provider"] == "spare"
            await sidecar.push_next(build.state_push(unhealthy=("team-a/gpt", "team-a/spare")))
            refused = await sidecar.chat()
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
            await sidecar.push_next(build.state_push())
            assert (await sidecar.chat()).headers["x-cliproxy-provider"] == "gpt"


def half_open(trial_sidecar: str | None) -> FleetCooldown:
    """Return an entry whose trial belongs to this sidecar."""
    return build.cooling(WHOLE, phase=CooldownPhase.HALF_OPEN, level=2, trial_sidecar=trial_sidecar)


async def test_a_half_open_provider_gets_one_trial_from_the_sidecar_that_may(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.always(Normal(latency_s=0.3))
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        sidecar.reports() as reports,
    ):
        await sidecar.push_next(build.state_push(half_open("another")))
        assert (await sidecar.chat()).status_code == 429
        assert scripted_openai.requests == []
        await sidecar.push_next(build.state_push(half_open("sidecar-1")))
        answers = await asyncio.gather(*(sidecar.chat() for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [429] * 9
        assert len(scripted_openai.requests) == 1
        assert [trial.level for trial in await reports.wait_for(TrialStarted)] == [2]
        assert [trial.level for trial in await reports.wait_for(TrialSettled)] == [2]


async def test_a_trial_passes_when_its_stream_begins(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(HalfStream(events=3, ending="hang"))
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        sidecar.reports() as reports,
    ):
        await sidecar.push_next(build.state_push(half_open("sidecar-1")))
        long_call = asyncio.ensure_future(sidecar.chat(stream=True))
        assert [trial.level for trial in await reports.wait_for(TrialSettled)] == [2]
        assert not long_call.done()
        long_call.cancel()
        await asyncio.gather(long_call, return_exceptions=True)
        await eventually(
            lambda: sidecar.sidecar.machines.cooldowns.outstanding == 0, what="the permit's return"
        )


async def test_a_trial_whose_caller_leaves_is_given_back(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Hang())
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar, sidecar.reports():
        await sidecar.push_next(build.state_push(half_open("sidecar-1")))
        leaving = asyncio.ensure_future(sidecar.chat())
        await scripted_openai.wait_for_requests(1)
        assert (await sidecar.chat()).status_code == 429
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await eventually(
            lambda: sidecar.sidecar.machines.cooldowns.outstanding == 0, what="the permit's return"
        )
        assert (await sidecar.chat()).status_code == 200


async def test_the_least_bad_target_is_asked_when_the_policy_says_so(
    scripted_openai: ScriptedProvider,
) -> None:
    lenient = build.rules(last_resort=LastResort.USE_LEAST_BAD)
    async with running_sidecar(build.push(build.built(scripted_openai, cooldown=lenient))) as sidecar:
        await sidecar.push_next(build.state_push(build.cooling(WHOLE)))
        assert (await sidecar.chat()).status_code == 200
        for hopeless in (OutcomeClass.AUTH, None):
            await sidecar.push_next(build.state_push(build.cooling(WHOLE, outcome_class=hopeless)))
            assert (await sidecar.chat()).status_code == 503
    assert len(scripted_openai.requests) == 1


async def test_a_request_waits_for_a_return_when_the_policy_says_so(
    scripted_openai: ScriptedProvider,
) -> None:
    patient = build.rules(last_resort=LastResort.WAIT, max_wait_s=8.0)
    async with running_sidecar(build.push(build.built(scripted_openai, cooldown=patient))) as sidecar:
        await sidecar.push_next(build.state_push(build.cooling(WHOLE)))
        waiting = asyncio.ensure_future(sidecar.chat())
        await eventually(lambda: sidecar.sidecar.machines.waiting == 1, what="the waiting request")
        assert (await sidecar.metrics())["cliproxy_queue_size"] == 1
        await sidecar.push_next(build.state_push())
        assert (await waiting).status_code == 200
        assert (await sidecar.metrics())["cliproxy_queue_size"] == 0
        impatient = build.built(
            scripted_openai, cooldown=build.rules(last_resort=LastResort.WAIT, max_wait_s=0.1)
        )
        await sidecar.push_next(build.push(impatient))
        await sidecar.push_next(build.state_push(build.cooling(WHOLE)))
        assert (await sidecar.chat()).status_code == 429


async def test_a_person_cools_and_recovers_a_provider(scripted_openai: ScriptedProvider) -> None:
    levers = "/v0/operations/providers/gpt"
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        sidecar.reports() as reports,
    ):
        answer = await sidecar.post(f"{levers}/cooldown", {"duration": "10m", "reason": "testing"})
        assert answer.status_code == 200
        assert (await sidecar.chat()).status_code == 503
        found = await periods(sidecar)
        assert (found["gpt"]["reason"], found["gpt"]["detail"]) == ("manual", "testing")
        assert 598 <= float(str(found["gpt"]["remaining_seconds"])) <= 600
        status = (await sidecar.get("/v0/operations/providers/status")).json()["providers"]["gpt"]
        assert (status["in_cooldown"], status["status"]) == (True, "degraded")
        breakers = (await sidecar.get("/v0/operations/circuit_breakers")).json()["circuit_breakers"]
        assert breakers["gpt"]["state"] == "open"
        (tripped,) = await reports.wait_for(Tripped)
        assert (tripped.outcome_class, tripped.fleet, tripped.scope) == (None, True, WHOLE)
        assert (await sidecar.post(f"{levers}/recover")).json()["in_cooldown"] is False
        (recovered,) = await reports.wait_for(Recovered)
        assert recovered.provider == "team-a/gpt"
        assert await periods(sidecar) == {}
        assert (await sidecar.chat()).status_code == 200
        by_id = await sidecar.post("/v0/operations/providers/team-a/gpt/cooldown", b"")
        assert by_id.status_code == 200
        assert (await periods(sidecar))["gpt"]["reason"] == "manual"


async def test_wrong_wishes_of_people_are_refused(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        for body, status in (
            ({"duration": "soon"}, 400),
            ({"duration": "0s"}, 400),
            ({"duration": "9000h"}, 400),
            ({"duration": 5}, 400),
            ({"hours": 1}, 400),
        ):
            response = await sidecar.post("/v0/operations/providers/gpt/cooldown", body)
            assert response.status_code == status, body
        assert "duration" in response.json()["detail"], "says what to send"
        assert (await sidecar.post("/v0/operations/providers/nobody/recover")).status_code == 404
        assert (await sidecar.get("/v0/operations/nothing")).status_code == 404
        assert (await sidecar.get("/v0/operations/openapi.json")).status_code == 404
        assert await periods(sidecar) == {}


async def test_cut_off_a_provider_comes_back_by_a_trial_of_its_own(scripted_openai: ScriptedProvider) -> None:
    quick = build.rules(recovery={"ramp_percent": (100,), "check_interval_s": 0.05, "backoff_s": 0.05})
    scripted_openai.script(scripted_openai.preset("openai.rate_limit", retry_after_s=1))
    async with running_sidecar(build.push(build.built(scripted_openai, cooldown=quick))) as sidecar:
        assert (await sidecar.chat()).status_code == 429

        async def answered() -> bool:
            return (await sidecar.chat()).status_code == 200

        async with asyncio.timeout(10):
            while not await answered():  # noqa: ASYNC110 -- callers that keep asking are what is tested
                await asyncio.sleep(0.02)
        assert len(scripted_openai.requests) == 2
        await eventually(lambda: not sidecar.sidecar.machines.active(), what="the closed scope")


async def test_errors_within_the_window_cool_the_model(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.always(Fail(status=500))
    touchy = build.rules(error_threshold=3, error_s=40.0)
    async with running_sidecar(build.push(build.built(scripted_openai, cooldown=touchy))) as sidecar:
        statuses = [(await sidecar.chat()).status_code for _ in range(5)]
        assert statuses == [502, 502, 502, 503, 503]
        assert len(scripted_openai.requests) == 3
        assert (await periods(sidecar))["gpt"]["reason"] == "error"


async def test_a_wish_is_read_whatever_curl_calls_it(scripted_openai: ScriptedProvider) -> None:
    """`curl -d` says that its body is a form."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        path = "/v0/operations/providers/gpt/cooldown"
        answer = await sidecar.post(path, b'{"duration":"5m","reason":"a\\n look"}', headers=form)
        assert answer.status_code == 200, answer.text
        assert answer.json()["cooldown"]["detail"] == "a look"


@pytest.mark.parametrize(("path", "status"), [("", 200), ("/", 404), ("/nothing", 404)])
async def test_whoever_looks_for_operations_is_told_which_there_are(
    scripted_openai: ScriptedProvider, path: str, status: int
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        answer = await sidecar.get(f"/v0/operations{path}")
        assert answer.status_code == status
        assert "GET /v0/operations/cooldown/status" in answer.text
        assert "POST /v0/operations/providers/{provider:path}/recover" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/providers/gpt/cooldown", "POST"),
        ("PUT", "/providers/gpt/recover", "POST"),
        ("POST", "/costs", "GET"),
        ("POST", "/nothing", None),
        ("DELETE", "/", None),
    ],
)
async def test_the_wrong_method_is_told_from_a_path_that_is_not_there(
    scripted_openai: ScriptedProvider, method: str, path: str, allow: str | None
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        url = f"{sidecar.proxy_url}/v0/operations{path}"
        answer = await sidecar.client.request(method, url)
        assert (answer.status_code, answer.headers.get("allow")) == (405 if allow else 404, allow)
        detail = str(answer.json()["detail"])
        assert (f"takes {allow}, not {method}" if allow else "there is nothing at") in detail


@pytest.mark.parametrize("body", [b"", b" ", b"null", b"{}"])
async def test_a_wish_without_a_body_is_the_usual_one(scripted_openai: ScriptedProvider, body: bytes) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        answer = await sidecar.post("/v0/operations/providers/gpt/cooldown", body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["in_cooldown"]
