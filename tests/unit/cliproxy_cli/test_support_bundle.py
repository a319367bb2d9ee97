"""The bundle holds what helps and none of the keys that were planted everywhere."""

import tarfile
from pathlib import Path
from typing import Any

import pytest

from cliproxy_cli.redact import HIDDEN, redact, redact_text
from support.commandline import StubApi, listed, run

NAMESPACE = "/api/v1/namespaces/team-a"
KINDS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a"
KEYS = {
    "header": "planted-header-value-1",
    "env": "planted-env-value-2",
    "log": "sk-planted-log-33333333333333",
    "bearer": "planted-bearer-4.abc_def",
    "annotation": "sk-ant-planted-annotation-555555",
    "event": "gsk_planted6666666666666666",
    "query": "planted-query-7",
    "userinfo": "planted-user:planted-pass-8",
    "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjo5fQ.planted-signature",
    "field": "planted-token-field-10",
    "assigned": "planted-assigned-11",
    "slack": "T000/B000/planted12",
    "argument": "planted-argument-13",
    "probe": "planted-probe-14",
    "webhook": "planted-webhook-15",
    "discord": "1234/planted-discord-16",
    "redis": "planted-redis-17",
}


def provider() -> dict[str, Any]:
    last_applied = f'{{"spec": {{"headers": {{"x-key": "{KEYS["header"]}"}}}}}}'
    return {
        "kind": "LLMProvider",
        "metadata": {
            "name": "claude",
            "namespace": "team-a",
            "managedFields": [{"manager": "x"}],
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": last_applied,
                "note": f"the key is {KEYS['annotation']}",
            },
        },
        "spec": {
            "baseURL": f"https://{KEYS['userinfo']}@api.example.com/v1?key={KEYS['query']}",
            "headers": {"x-team": KEYS["header"]},
            "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "claude"}}],
            "someToken": KEYS["field"],
        },
        "status": {"phase": "CoolingDown", "reason": "RateLimited"},
    }


def rule() -> dict[str, Any]:
    return {
        "kind": "AlertRule",
        "metadata": {"name": "money", "namespace": "team-a"},
        "spec": {
            "notifications": [
                {
                    "name": "a",
                    "webhook": {"url": f"https://receiver.example.com:8443/hooks/{KEYS['webhook']}"},
                },
                {"name": "b", "webhook": {"url": f"https://discord.com/api/webhooks/{KEYS['discord']}"}},
                {"name": "c", "alertmanager": {"url": "http://alertmanager:9093"}},
            ]
        },
    }


@pytest.fixture
def served(api: StubApi) -> StubApi:
    env = [{"name": "OPENAI_API_KEY", "value": KEYS["env"]}, {"name": "MODE", "value": KEYS["env"]}]
    containers = [
        {
            "name": "app",
            "image": "shop:1",
            "env": env,
            "command": ["/bin/sh", "-c", f"exec shop --cache redis://:{KEYS['redis']}@cache:6379/0"],
            "args": ["--db-password", KEYS["argument"]],
            "livenessProbe": {"exec": {"command": ["redis-cli", "-a", KEYS["probe"], "ping"]}},
        },
        {
            "name": "cliproxy",
            "image": "images.example:5000/team/cliproxy-sidecar:1.2",
            "env": env,
            "args": ["--an-argument-of-ours"],
        },
    ]
    pod = {
        "metadata": {"name": "web-1", "namespace": "team-a"},
        "spec": {"containers": containers},
        "status": {},
    }
    event = {"involvedObject": {"kind": "LLMProvider"}, "message": f"refused {KEYS['event']}"}
    other = {"involvedObject": {"kind": "Pod"}, "message": "of no interest"}
    log = f'{{"msg": "provider said {KEYS["log"]}"}}\nAuthorization: Bearer {KEYS["bearer"]}\n{KEYS["jwt"]}\n'
    api.objects |= {
        f"{KINDS}/llmproviders": listed(provider()),
        f"{KINDS}/proxyprofiles": listed(),
        f"{KINDS}/cooldownpolicies": listed(),
        f"{KINDS}/alertrules": listed(rule()),
        f"{NAMESPACE}/pods": listed(pod),
        f"{NAMESPACE}/events": listed(event, other),
        f"{NAMESPACE}/pods/web-1/log": log
        + f"api_key={KEYS['assigned']} https://hooks.slack.com/services/{KEYS['slack']}\n"
        + f"https://discord.com/api/webhooks/{KEYS['discord']} redis://:{KEYS['redis']}@cache:6379\n",
        "/version": {"gitVersion": "v1.33.0"},
    }
    message = "cooldownpolicies is forbidden"
    api.refusals[f"{KINDS}/cooldownpolicies"] = (403, {"reason": "Forbidden", "message": message})
    return api


def unpacked(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read().decode()
        return found


def test_no_planted_key_is_in_the_bundle(served: StubApi, kubeconfig: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"

    ran = run("support-bundle", "-f", str(path), kubeconfig=kubeconfig)

    assert ran.code == 0
    parts = unpacked(path)
    everything = "\n".join(parts.values())
    leaked = [name for name, key in KEYS.items() for part in key.split(":") if part in everything]
    assert leaked == []
    assert "planted-kube-token" not in everything
    assert not [one for one in served.asked if "/secrets" in one.path]


def test_what_helps_is_in_it_and_what_is_missing_is_said(
    served: StubApi, kubeconfig: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.tar.gz"

    ran = run("support-bundle", "-f", str(path), kubeconfig=kubeconfig)
    parts = unpacked(path)

    assert "phase: CoolingDown" in parts["llmproviders.yaml"]
    assert "name: keys\n      key: claude" in parts["llmproviders.yaml"]
    assert "api.example.com/v1" in parts["llmproviders.yaml"]
    assert "of no interest" not in parts["events.yaml"]
    assert "url: https://receiver.example.com:8443/[hidden]" in parts["alertrules.yaml"]
    assert "url: http://alertmanager:9093\n" in parts["alertrules.yaml"]
    assert "--an-argument-of-ours" in parts["pods.yaml"]
    assert "provider said" in parts["logs/team-a/web-1/cliproxy.log"]
    assert not [name for name in parts if name.endswith("app.log")]
    assert "v1.33.0" in parts["about.json"]
    assert "cooldownpolicies: cooldownpolicies is forbidden" in parts["errors.txt"]
    assert "left out: cooldownpolicies" in ran.err


def test_an_archive_is_not_overwritten(served: StubApi, kubeconfig: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_text("mine")

    ran = run("support-bundle", "-f", str(path), kubeconfig=kubeconfig)

    assert (ran.code, path.read_text()) == (1, "mine")


@pytest.mark.parametrize(
    "name", ["secretRef", "keySecretRef", "tokensLastMinute", "credentials", "key", "model"]
)
def test_references_and_figures_stay(name: str) -> None:
    assert redact({name: {"name": "keys"}}) == {name: {"name": "keys"}}


@pytest.mark.parametrize("name", ["token", "apiKey", "x-api-key", "authToken", "Authorization", "password"])
def test_values_under_telling_names_go(name: str) -> None:
    assert redact({name: "short"}) == {name: HIDDEN}


def test_plain_words_stay() -> None:
    text = "429 from groq: rate limit reached for model llama-3.3-70b-versatile, try again in 7.66s"
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://hooks.example.com/a/b", f"https://hooks.example.com/{HIDDEN}"),
        ("https://hooks.example.com/", "https://hooks.example.com"),
        ("https://hooks.example.com?token=x", f"https://hooks.example.com/{HIDDEN}"),
        ("https://me:pw@hooks.example.com:8443/a", f"https://hooks.example.com:8443/{HIDDEN}"),
        ("https://[half/a", HIDDEN),
    ],
)
def test_of_a_receivers_address_the_host_stays(url: str, left: str) -> None:
    assert redact({"notifications": [{"webhook": {"url": url}}]}) == {
        "notifications": [{"webhook": {"url": left}}]
    }
    assert redact({"endpoint": {"url": "http://collector:4318/v1"}}) == {
        "endpoint": {"url": "http://collector:4318/v1"}
    }
