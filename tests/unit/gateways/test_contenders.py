import json
from pathlib import Path

import pytest

from cliproxy_api import codec
from gateways import contenders, nginx, payload
from gateways.launch import Place
from gateways.ours import PROVIDERS, snapshot_push
from gateways.race import Cores


def test_requests_and_answers_are_about_a_kilobyte() -> None:
    assert 800 <= len(payload.body()) <= 1200
    assert 800 <= len(payload.answer()) <= 1200
    assert payload.MARK in json.loads(payload.answer())["choices"][0]["message"]["content"]


def test_a_request_is_framed_by_its_length() -> None:
    head, _, body = payload.request("/x", b"{}", {"a": "b"}).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.1\r\n")
    assert b"\r\na: b\r\n" in head
    assert head.endswith(b"content-length: 2")
    assert body == b"{}"


def test_a_token_carries_the_instant_it_was_sent() -> None:
    stamped = payload.token(12.5)
    assert [float(found) for found in payload.STAMP.findall(stamped)] == [12.5]
    assert stamped.count(payload.MARKS) == 2


def test_our_snapshot_is_one_that_a_sidecar_takes() -> None:
    push = codec.decode_snapshot_push(codec.encode(snapshot_push("http://127.0.0.1:9")))
    assert [provider.name for provider in push.snapshot.providers] == list(PROVIDERS)


def test_nginx_keeps_to_its_own_folder() -> None:
    text = nginx.config(Path("/somewhere"), 8080)
    assert "listen 127.0.0.1:8080" in text
    assert payload.answer().decode() in text


def test_envoy_leads_to_the_provider() -> None:
    text = json.dumps(contenders.envoy_config(1111, 2222))
    assert text.count('"port_value": 1111') == text.count('"port_value": 2222') == 1


def test_every_contender_has_a_key_of_its_own() -> None:
    keys = [contender.key for contender in contenders.CONTENDERS]
    assert len(keys) == len(set(keys))


def test_files_of_a_contender_stand_in_its_folder(tmp_path: Path) -> None:
    place = Place(tmp_path, 80, (1, 2, 3))
    assert Path(place.write("deep/in/x.json", "{}")).read_text() == "{}"
    assert (tmp_path / "deep" / "in" / "x.json").exists()


def test_gateway_and_load_never_share_a_core() -> None:
    assert Cores.of({3, 1, 2}) == Cores(1, 2)
    with pytest.raises(ValueError, match="two cores"):
        Cores.of({0})
