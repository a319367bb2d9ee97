"""The log as the profile wants it, while the sidecar runs: level, format, a copy in a file, transitions."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Profile, SnapshotPush
from cliproxy_api.state import StatePush
from cliproxy_api.telling import LogFile
from cliproxy_api.vocabulary import LogFormat, LogLevel
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Fail
from cliproxy_sidecar.runtime import logfile
from support import build
from support.sidecar import RunningSidecar, eventually, running_sidecar

KEY = "sk-test"


def wanting(provider: ScriptedProvider, **profile: object) -> SnapshotPush:
    return build.push(build.built(provider), profile=Profile(**profile))  # type: ignore[arg-type]


def requests_told(sidecar: RunningSidecar) -> list[str]:
    words = ("request_success", "request_failed")
    return [line["msg"] for line in sidecar.log_lines() if line["msg"] in words]


async def test_the_level_changes_with_the_profile(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(wanting(scripted_openai, log_level=LogLevel.WARNING)) as sidecar:
        await sidecar.chat()
        await sidecar.chat("nobody-has-this")
        assert requests_told(sidecar) == ["request_failed"]
        await sidecar.push_next(wanting(scripted_openai, log_level=LogLevel.INFO))
        await sidecar.chat()
        assert requests_told(sidecar) == ["request_failed", "request_success"]
        await sidecar.push_next(wanting(scripted_openai, log_level=LogLevel.ERROR))
        await sidecar.chat()
        await sidecar.chat("nobody-has-this")
        scripted_openai.script(Fail(status=500, body="{}", headers={}))
        assert (await sidecar.chat()).status_code >= 500
        lines = sidecar.log_lines("request_failed")
    assert [line["level"] for line in lines] == ["warning", "error"], "at error no caller's mistake is told"


async def test_the_platforms_level_wins_over_the_profiles(scripted_openai: ScriptedProvider) -> None:
    push = wanting(scripted_openai, log_level=LogLevel.WARNING)
    async with running_sidecar(push, level=LogLevel.DEBUG) as sidecar:
        await sidecar.chat()
        assert requests_told(sidecar) == ["request_success"]


async def test_text_is_for_people_and_says_the_same(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(wanting(scripted_openai, log_format=LogFormat.TEXT)) as sidecar:
        answer = await sidecar.chat()
        await sidecar.chat("two\nlines")
        good, bad = (line for line in sidecar.log_text().splitlines() if " request_" in line)
        await sidecar.push_next(wanting(scripted_openai))
        await sidecar.chat()
        assert sidecar.log_text().splitlines()[-1].startswith('{"timestamp":')
    assert " INFO    request_success provider=gpt model=gpt-4o " in good
    assert f"request_id={answer.headers['x-request-id']}" in good
    assert "status=200" in good
    assert r'model="two\nlines"' in bad


async def test_a_copy_goes_into_a_file_and_stdout_stays(
    scripted_openai: ScriptedProvider, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    async with running_sidecar(wanting(scripted_openai), log_dir=folder) as sidecar:
        await sidecar.chat(prompt="before")
        assert sidecar.log_lines("request_success")
        await sidecar.push_next(wanting(scripted_openai, log_file=LogFile()))
        inside = await sidecar.chat(prompt="inside")
        sidecar.log_text()
        await eventually(lambda: b"request_success" in said(folder), what="a line in the file")
        samples = await sidecar.metrics()
        await sidecar.push_next(wanting(scripted_openai))
        after = await sidecar.chat(prompt="after")
        stdout = sidecar.log_text()
    assert samples["cliproxy_log_file_up"] == 1
    assert samples['cliproxy_log_file_lines_total{result="written"}'] >= 1
    lines = [line for line in said(folder).splitlines() if b"request_success" in line]
    assert len(lines) == 1
    assert inside.headers["x-request-id"].encode() in lines[0]
    assert after.headers["x-request-id"] in stdout
    assert [path.name for path in folder.iterdir()] == ["sidecar-1.log"]


async def test_no_key_comes_into_the_copy(scripted_openai: ScriptedProvider, tmp_path: Path) -> None:
    repeated = '{"error":{"code":"sk-test","message":"your key sk-test is bad"}}'
    scripted_openai.script(
        *(Fail(status=status, body=repeated, headers={"x-key": KEY}) for status in (401, 500, 429, 400))
    )
    for form in (LogFormat.JSON, LogFormat.TEXT):
        push = wanting(scripted_openai, log_file=LogFile(), log_level=LogLevel.DEBUG, log_format=form)
        async with running_sidecar(push, log_dir=tmp_path / form.value) as sidecar:
            headers = {"authorization": "Bearer callers-own-key", "x-api-key": "callers-own-key"}
            for _ in range(3):
                body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a-prompt"}]}
                await sidecar.post("/v1/chat/completions?key=callers-own-key", body, headers=headers)
            await sidecar.chat(f"my key is {KEY}")
            logging.getLogger("cliproxy_sidecar.test").error(
                "trouble", extra={"why": f"key {KEY} in a field"}
            )
            sidecar.log_text()
        copy = said(tmp_path / form.value)
        assert b"cooldown_started" in copy
        assert copy.count(b"my key is [hidden]") == 1
        assert copy.count(b"key [hidden] in a field") == 1
        for planted in (KEY.encode(), b"callers-own", b"a-prompt"):
            assert planted not in copy


async def test_a_file_that_cannot_be_written_costs_a_warning(
    scripted_openai: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfile, "PAUSE_S", 0.01)
    folder = tmp_path / "logs"
    folder.write_bytes(b"")
    push = wanting(scripted_openai, log_file=LogFile())
    async with running_sidecar(push, log_dir=folder) as sidecar:
        assert (await sidecar.chat()).status_code == 200

        def told(word: str) -> bool:
            return any(word in line["msg"] for line in sidecar.log_lines())

        await eventually(lambda: told("cannot be written"), what="a warning")
        assert (await sidecar.metrics())["cliproxy_log_file_up"] == 0
        folder.unlink()
        await sidecar.chat()
        await eventually(lambda: told("is written to"), what="its end")
        assert (await sidecar.metrics())["cliproxy_log_file_up"] == 1
        assert len(sidecar.log_lines("request_success")) == 2
    assert said(folder)


async def test_every_transition_has_a_line(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(Fail(status=401, body='{"error":{"code":"sk-test"}}', headers={}))
    async with running_sidecar(wanting(scripted_openai)) as sidecar:
        await sidecar.chat()
        await eventually(lambda: sidecar.log_lines("cooldown_started"))
        (line,) = sidecar.log_lines("cooldown_started")
        await sidecar.client.post(f"{sidecar.proxy_url}/v0/operations/providers/gpt/recover")
        await eventually(lambda: sidecar.log_lines("cooldown_ended"))
        (ended,) = sidecar.log_lines("cooldown_ended")
        scope = Scope(provider="team-a/gpt")
        await sidecar.push_state(build.state_push(build.cooling(scope, sidecar="another")))
        await eventually(lambda: len(sidecar.log_lines("cooldown_started")) == 2)
        fleets = sidecar.log_lines("cooldown_started")[1]
        await sidecar.push_state(unhealthy("team-a/gpt"))
        await eventually(lambda: sidecar.log_lines("provider_unhealthy"))
        (configured,) = sidecar.log_lines("configuration_taken")
        text = sidecar.log_text()
    told = {name: line[name] for name in ("level", "provider", "credential", "class", "status", "sidecar")}
    assert told == {
        "level": "warning",
        "provider": "team-a/gpt",
        "credential": "main",
        "class": "Auth",
        "status": 401,
        "sidecar": "sidecar-1",
    }
    assert 0 < line["remaining_s"] <= 3600
    assert (ended["level"], ended["provider"], ended["credential"]) == ("info", "team-a/gpt", "main")
    assert (fleets["sidecar"], fleets["fleet"]) == ("another", True)
    assert configured["digest"]
    assert KEY not in text


def unhealthy(provider: str) -> StatePush:
    return build.state_push(position=build.Position(1, 2), unhealthy=(provider,))


def said(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir()) if folder.is_dir() else b""
