"""Callers' scores over real HTTP: counted by provider and model, refused in the caller's format."""

from cliproxy_dev.providers.provider import ScriptedProvider
from support import build
from support.consumers import WEB, consumer, push_with
from support.sidecar import running_sidecar


async def test_scores_are_counted_by_provider_and_model(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        ids = [(await sidecar.chat()).headers["x-request-id"] for _ in range(2)]
        good = await sidecar.post("/v0/feedback", {"request_id": ids[0], "score": 1})
        bad = await sidecar.post("/v0/feedback", {"request_id": ids[1], "score": 0.25})
        again = await sidecar.post("/v0/feedback", {"request_id": ids[0], "score": 0})
        figures = await sidecar.metrics()

    assert (good.status_code, good.content, bad.status_code) == (204, b"", 204)
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "already_rated"
    labels = 'model="gpt-4o",provider="gpt"'
    assert figures[f"cliproxy_response_quality_count{{{labels}}}"] == 2
    assert figures[f"cliproxy_response_quality_sum{{{labels}}}"] == 1.25
    assert figures['cliproxy_response_quality_bucket{le="0.3",model="gpt-4o",provider="gpt"}'] == 1


async def test_refusals_speak_the_callers_format(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        unknown = await sidecar.post(
            "/v0/feedback", {"request_id": "nobody", "score": 1}, headers={"anthropic-version": "2023-06-01"}
        )
        malformed = await sidecar.post("/v0/feedback", {"request_id": "x"})
        large = await sidecar.post("/v0/feedback", {"request_id": "x" * 5000, "score": 1})
        wrong = await sidecar.get("/v0/feedback")

    assert unknown.status_code == 404
    assert unknown.json()["error"]["type"] == "not_found_error"
    assert "x-request-id" in unknown.json()["error"]["message"]
    assert malformed.json()["error"]["param"] == "score"
    assert (malformed.status_code, large.status_code) == (400, 413)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_where_callers_have_names_strangers_are_not_heard(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(push_with((consumer(),), build.built(scripted_openai))) as sidecar:
        key = {"authorization": f"Bearer {WEB}"}
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await sidecar.post("/v1/chat/completions", asked, headers=key)
        request_id = answer.headers["x-request-id"]
        told = {"request_id": request_id, "score": 0.5}
        stranger = await sidecar.post("/v0/feedback", told)
        known = await sidecar.post("/v0/feedback", told, headers=key)

    assert (stranger.status_code, known.status_code) == (401, 204)
