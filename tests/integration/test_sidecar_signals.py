"""What a sidecar shows of itself: metrics, log lines, health, operations; and what it never shows."""

import json
import re
from datetime import datetime

import pytest

from cliproxy_api.snapshot import Profile
from cliproxy_api.vocabulary import LogLevel
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail, Normal
from support import build
from support.compiled import PATCHES_PARTS
from support.sidecar import eventually, running_sidecar

PLANTED = "sk-planted-9f8e7d6c5b4a"
PROMPT = "a prompt that nobody else may read"
JSON = {"content-type": "application/json"}


async def test_the_line_of_a_request_has_its_fields_and_no_others(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        response = await sidecar.chat(prompt=PROMPT)
        (line,) = sidecar.log_lines("request_success")
    usage = response.json()["usage"]
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert moment.utcoffset() is not None
    assert line.pop("latency_ms") >= 0
    assert line == {
        "level": "info",
        "msg": "request_success",
        "provider": "gpt",
        "model": "gpt-4o",
        "request_id": response.headers["x-request-id"],
        "tokens": {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]},
        "attempts": 1,
        "status": 200,
        "stream": False,
        "error_class": None,
    }


async def test_embeddings_have_no_output_even_if_estimated(
    scripted_openai: ScriptedProvider,
) -> None:
    answer = '{"object":"list","data":[{"embedding":[' + "0.25," * 500 + "1]}]}"
    scripted_openai.script(Fail(status=200, body=answer, headers=JSON))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        await sidecar.post("/v1/embeddings", b'{"model":"gpt-4o","input":"a few words to embed"}')
        (line,) = sidecar.log_lines("request_success")
    assert line["tokens"]["input"] > 0
    assert line["tokens"]["output"] == 0


async def test_a_quiet_level_tells_failures_only(scripted_openai: ScriptedProvider) -> None:
    profile = Profile(log_level=LogLevel.WARNING)
    async with running_sidecar(build.push(build.built(scripted_openai), profile=profile)) as sidecar:
        await sidecar.chat()
        await sidecar.chat("nobody")
        assert sidecar.log_lines("request_success") == []
        (line,) = sidecar.log_lines("request_failed")
        assert (line["error_class"], line["status"], line["model"]) == ("unknown_model", 404, "nobody")


async def test_metrics_count_requests_tokens_errors_and_time(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Fail(status=500), Normal(), Normal())
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        await sidecar.chat()
        usage = (await sidecar.chat()).json()["usage"]
        await sidecar.chat(stream=True, stream_options={"include_usage": True})
        for number in range(3):
            await sidecar.chat(f"made-up-{number}")
        samples = await sidecar.metrics()
    labels = 'model="gpt-4o",provider="gpt"'
    assert samples[f'cliproxy_requests_total{{{labels},status="200"}}'] == 2
    assert samples[f'cliproxy_requests_total{{{labels},status="502"}}'] == 1
    assert samples['cliproxy_requests_total{model="other",provider="none",status="404"}'] == 3
    assert not [sample for sample in samples if "made-up" in sample]
    assert samples['cliproxy_errors_total{error_type="ServerError",provider="gpt"}'] == 1
    assert samples[f'cliproxy_tokens_total{{{labels},type="input"}}'] == 2 * usage["prompt_tokens"]
    assert samples[f'cliproxy_tokens_total{{{labels},type="output"}}'] == 2 * usage["completion_tokens"]
    assert samples[f"cliproxy_request_duration_seconds_count{{{labels}}}"] == 3
    assert samples[f'cliproxy_request_duration_seconds_bucket{{le="+Inf",{labels}}}'] == 3
    assert samples[f"cliproxy_first_token_seconds_count{{{labels}}}"] == 1
    assert samples['cliproxy_response_size_bytes_count{provider="gpt"}'] == 3
    assert samples["cliproxy_active_requests"] == 0
    assert samples['cliproxy_provider_health{provider="gpt"}'] == 1
    assert samples['cliproxy_cooldown_active{provider="gpt"}'] == 0
    assert samples["process_resident_memory_bytes"] > 0


async def test_the_observe_port_serves_health_and_metrics_only(scripted_openai: ScriptedProvider) -> None:
    push = build.push(build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        for base in (sidecar.observe_url, sidecar.proxy_url):
            for path in ("/health", "/health/live", "/health/ready"):
                response = await sidecar.client.get(base + path)
                assert response.status_code == 200
                assert response.json()["snapshot"] == push.snapshot.digest
        assert (
            await sidecar.client.get(f"{sidecar.observe_url}/v0/operations/providers/status")
        ).status_code == 404
        assert (await sidecar.client.post(f"{sidecar.observe_url}/metrics")).status_code == 405
        assert (await sidecar.client.get(f"{sidecar.proxy_url}/metrics")).status_code == 404


async def test_operations_have_the_shapes_that_scripts_rely_on(scripted_openai: ScriptedProvider) -> None:
    parts = build.built(scripted_openai, models={"fast": "gpt-4o-mini"}, weight=3)
    async with running_sidecar(build.push(parts)) as sidecar:
        await sidecar.chat("fast")
        status = (await sidecar.get("/v0/operations/providers/status")).json()["providers"]["gpt"]
        balancing = (await sidecar.get("/v0/operations/load_balancing/status")).json()
        connections = (await sidecar.get("/v0/operations/connections")).json()
        cooldown = (await sidecar.get("/v0/operations/cooldown/status")).json()
    assert status["status"] == "healthy"
    assert status["in_cooldown"] is False
    assert status["last_check"] is None
    assert isinstance(status["uptime_percent"], float)
    assert (status["requests_last_minute"], status["errors_last_minute"]) == (1, 0)
    assert isinstance(status["average_latency_ms"], float)
    assert balancing["strategy"] == "round_robin"
    assert (balancing["models"]["fast"][0]["provider"], balancing["models"]["fast"][0]["weight"]) == (
        "gpt",
        3,
    )
    assert connections["active_requests"] == 0
    assert cooldown == {"providers_in_cooldown": [], "cooldown_periods": {}}


async def test_operations_answer_the_same_machine_only(
    scripted_openai: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        app, answers = sidecar.sidecar.operations, []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            answers.append(message.get("status"))

        path = "/v0/operations/providers/gpt/cooldown"
        for client in (["10.0.0.7", 1], None, ["::ffff:10.0.0.7", 1]):
            scope = {"type": "http", "path": path, "method": "POST", "headers": [], "client": client}
            await app(scope, receive, send)  # type: ignore[arg-type]
        assert [status for status in answers if status] == [403, 403, 403]
        assert sidecar.sidecar.machines.active() == ()


async def test_keys_and_prompts_stand_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Plant a key, make everything go wrong, and look for it in every place that somebody may read."""
    echo = json.dumps({"error": {"message": f"bad key {PLANTED}", "type": "x", "code": PLANTED}})
    async with ScriptedProvider(kind="openai", name="gpt", keys={"main": PLANTED}) as scripted:
        headers = {**JSON, "x-echo": PLANTED, "retry-after": PLANTED}
        parts = build.built(scripted, keys={"main": PLANTED, "broken": f"{PLANTED}\n{PLANTED}"})
        async with (
            running_sidecar(build.push(parts), level=LogLevel.DEBUG) as sidecar,
            sidecar.reports() as reports,
        ):
            heard = []
            for status in (400, 401, 403, 404, 422, 429, 500, 503):
                scripted.script(Fail(status=status, body=echo, headers=headers))
                heard.append(await sidecar.chat(prompt=PROMPT))
                await sidecar.post("/v0/operations/providers/gpt/recover")
            for refused in (
                await sidecar._put("snapshot", b'{"secrets":{"a":"' + PLANTED.encode() + b'"}}'),
                await sidecar.push_next(build.push(parts)),
            ):
                assert PLANTED not in repr(refused)
            sidecar.sidecar.tasks.spawn(_fail(), "planted failure")
            await eventually(lambda: "planted failure" in sidecar.log_text(), what="the logged failure")
            paths = ("providers/status", "cooldown/status", "circuit_breakers", "load_balancing/status")
            shown = [
                *[(await sidecar.get(f"/v0/operations/{path}")).text for path in paths],
                sidecar.log_text(),
                repr(reports.seen),
                (await sidecar.client.get(f"{sidecar.observe_url}/metrics")).text,
                repr(sidecar.sidecar.settings),
                repr(sidecar.sidecar.snapshots.current),
                *(answer.text for answer in heard),
            ]
    for text in shown:
        assert PLANTED not in text
        assert PROMPT not in text
    assert not re.search("sk-planted", "".join(shown))


async def _fail() -> None:
    raise RuntimeError(f"a bug that quotes {PLANTED}")


@PATCHES_PARTS
async def test_bugs_of_the_admin_doors_are_logged(
    scripted_openai: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("planted")

    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        monkeypatch.setattr(sidecar.sidecar.machines, "active", bug)
        assert (await sidecar.client.get(f"{sidecar.observe_url}/metrics")).status_code == 500
        assert (await sidecar.get("/v0/operations/cooldown/status")).status_code == 500
        traces = [line["traceback"] for line in sidecar.log_lines() if line["level"] == "error"]
        assert len(traces) == 2
        assert all("ZeroDivisionError: planted" in trace for trace in traces)
        assert (await sidecar.chat()).status_code == 200
