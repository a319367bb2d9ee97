"""`cliproxy status` shows what stands in the objects, and says what to do when it cannot."""

import io
from pathlib import Path

from cliproxy_cli.__main__ import main
from support.commandline import StubApi, Terminal, listed, provider, run

TEAM = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"
ALL = "/apis/cliproxy.io/v1alpha1/llmproviders"
COOLING = provider(
    "groq",
    phase="CoolingDown",
    inCooldown=True,
    cooldownUntil="2999-01-01T00:00:00Z",
    reason="RateLimited",
    traffic={"requestsLastMinute": 120, "errorsLastMinute": 3, "p95LatencyMs": 900},
    sidecars={"total": 3, "ready": 3, "synced": 2},
)
HEALTHY = provider("openai", phase="Healthy", sidecars={"total": 3, "ready": 3, "synced": 3})


def test_each_provider_is_a_row(api: StubApi, kubeconfig: Path) -> None:
    api.objects[TEAM] = listed(COOLING, HEALTHY)

    ran = run("status", kubeconfig=kubeconfig)

    assert ran.code == 0
    head, groq, openai = ran.rows
    assert head[:3] == ["NAME", "PHASE", "COOLDOWN"]
    assert groq[:2] == ["groq", "CoolingDown"]
    assert groq[3:] == ["RateLimited", "120", "3", "900", "ms", "2/3"]
    assert openai == ["openai", "Healthy", "3/3"]
    assert {one.token for one in api.asked} == {"planted-kube-token"}


def test_all_namespaces_have_a_column(api: StubApi, kubeconfig: Path) -> None:
    api.objects[ALL] = listed(provider("a", "team-b", phase="Healthy"))

    assert run("status", "-A", kubeconfig=kubeconfig).rows == [
        ["NAMESPACE", "NAME", "PHASE", "COOLDOWN", "REASON", "REQ/MIN", "ERRORS", "P95", "SYNCED", "TODAY"],
        ["team-b", "a", "Healthy"],
    ]


def test_options_fit_before_and_after_the_command(api: StubApi, kubeconfig: Path) -> None:
    api.objects[ALL.replace("/llm", "/namespaces/other/llm")] = listed(HEALTHY)

    before = run("-n", "other", "status", kubeconfig=kubeconfig)
    after = run("status", "-n", "other", kubeconfig=kubeconfig)

    assert before == after
    assert "openai" in before.out


def test_json_and_yaml_hold_the_status_as_it_is(api: StubApi, kubeconfig: Path) -> None:
    api.objects[TEAM] = listed(HEALTHY)

    assert run("status", "-o", "json", kubeconfig=kubeconfig).json == [
        {"name": "openai", "namespace": "team-a", "status": HEALTHY["status"]}
    ]
    assert "phase: Healthy" in run("status", "-o", "yaml", kubeconfig=kubeconfig).out


def test_no_objects_is_no_error(api: StubApi, kubeconfig: Path) -> None:
    api.objects[TEAM] = listed()

    ran = run("status", kubeconfig=kubeconfig)

    assert (ran.code, ran.out) == (0, "")
    assert "no LLMProviders in namespace team-a" in ran.err


def test_only_a_terminal_gets_colours(api: StubApi, kubeconfig: Path) -> None:
    api.objects[TEAM] = listed(HEALTHY)

    assert "\033[32mHealthy" in run("status", kubeconfig=kubeconfig, out=Terminal()).out
    assert "\033" not in run("status", kubeconfig=kubeconfig).out
    assert "\033" not in run("status", kubeconfig=kubeconfig, out=Terminal(), NO_COLOR="1").out
    assert "\033" not in run("status", "--no-color", kubeconfig=kubeconfig, out=Terminal()).out


def test_errors_have_no_colours_where_results_have_none(tmp_path: Path) -> None:
    asked = ["--kubeconfig", str(tmp_path / "none"), "status"]
    for more, environment, painted in (
        ([], {}, True),
        (["--no-color"], {}, False),
        ([], {"TERM": "dumb"}, False),
        ([], {"NO_COLOR": "1"}, False),
    ):
        told = Terminal()
        assert main([*asked, *more], environment=environment, out=Terminal(), err=told) == 1
        assert ("\033" in told.getvalue()) is painted, (more, environment)


def test_without_a_command_all_are_listed() -> None:
    told = io.StringIO()

    assert main([], environment={}, err=told) == 2
    assert "support-bundle" in told.getvalue()


def test_what_a_provider_said_does_not_steer_the_terminal(api: StubApi, kubeconfig: Path) -> None:
    api.objects[TEAM] = listed(provider("x", phase="Healthy", reason="\033]0;owned\x07"))

    assert "\033" not in run("status", kubeconfig=kubeconfig).out


def test_long_lists_are_read_page_by_page(api: StubApi, kubeconfig: Path) -> None:
    pages = iter([listed(HEALTHY, more="next"), listed(COOLING)])
    answer = api.answer
    api.answer = lambda asked: (answer(asked), (200, next(pages)))[1]  # type: ignore[method-assign]

    assert len(run("status", kubeconfig=kubeconfig).rows) == 3
    assert [one.query.get("continue") for one in api.asked] == [None, "next"]


def test_missing_crds_are_named(api: StubApi, kubeconfig: Path) -> None:
    ran = run("status", kubeconfig=kubeconfig)

    assert (ran.code, ran.out) == (1, "")
    assert "CRDs are not installed" in ran.err
    assert "kubectl apply -f crds/" in ran.err


def test_a_missing_right_is_told_in_the_api_servers_words(api: StubApi, kubeconfig: Path) -> None:
    message = 'llmproviders.cliproxy.io is forbidden: User "eve" cannot list resource'
    api.refusals[TEAM] = (403, {"kind": "Status", "reason": "Forbidden", "message": message})

    ran = run("status", kubeconfig=kubeconfig)

    assert ran.code == 1
    assert message in ran.err


def test_a_refused_credential_is_not_repeated(api: StubApi, kubeconfig: Path) -> None:
    api.refusals[TEAM] = (401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"})

    ran = run("status", kubeconfig=kubeconfig)

    assert "does not accept these credentials" in ran.err
    assert "planted-kube-token" not in ran.out + ran.err
