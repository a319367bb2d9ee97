"""`cliproxy alerts render` prints what Prometheus takes, from the cluster and from files."""

from pathlib import Path

import pytest
import yaml

from support.commandline import StubApi, listed, run
from support.promtool import check_rules

RULES = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/alertrules"
PROVIDERS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"
HOOK = [{"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}]


def rule(name: str, condition: str, namespace: str | None = "team-a") -> dict[str, object]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    spec = {"condition": condition, "duration": "1m", "notifications": HOOK}
    return {"apiVersion": "cliproxy.io/v1alpha1", "kind": "AlertRule", "metadata": meta, "spec": spec}


def test_rules_of_the_cluster_become_objects(api: StubApi, kubeconfig: Path) -> None:
    api.objects[RULES] = listed(rule("failing", "error_rate > 5%"), rule("slow", "p95_latency > 5s"))
    api.objects[PROVIDERS] = listed()

    ran = run("alerts", "render", kubeconfig=kubeconfig)

    assert ran.code == 0, ran.err
    first, second = yaml.safe_load_all(ran.out)
    assert first["kind"] == "PrometheusRule"
    assert (first["metadata"]["name"], first["metadata"]["namespace"]) == ("cliproxy-failing", "team-a")
    assert second["spec"]["groups"][0]["rules"][0]["alert"] == "slow"
    chosen = run("alerts", "render", "slow", kubeconfig=kubeconfig)
    assert list(yaml.safe_load_all(chosen.out)) == [second]


def test_files_need_no_cluster_and_become_a_rule_file(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(
        yaml.safe_dump_all([rule("failing", "error_rate > 5%", None), rule("slow", "in_cooldown")])
    )

    ran = run("alerts", "render", "-n", "shop", "-o", "rules", "-f", str(path))

    assert ran.code == 0, ran.err
    groups = yaml.safe_load(ran.out)["groups"]
    assert [group["name"] for group in groups] == ["cliproxy/shop/failing", "cliproxy/team-a/slow"]
    assert "2 rules found" in check_rules(groups, tmp_path)


def test_what_cannot_be_said_is_named_and_the_rest_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    broken = rule("broken", "error_rate >")
    wrong = rule("wrong", "in_cooldown") | {"spec": {"condition": 5}}
    fine = rule("fine", "in_cooldown")
    path.write_text(yaml.safe_dump_all([rule("equal", "p95_latency == 5s"), broken, wrong, fine]))

    ran = run("alerts", "render", "-f", str(path))

    assert ran.code == 1
    assert "team-a/equal: p95_latency == 5 has no equal in PromQL" in ran.err
    assert "team-a/broken: spec.condition: at character 13" in ran.err
    assert "AlertRule wrong: spec.condition" in ran.err
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(ran.out)] == ["cliproxy-fine"]


@pytest.mark.parametrize(
    ("text", "says"), [("{", "alerts.yaml"), ("[1]", "no object"), (None, "No such file")]
)
def test_files_that_are_none(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    if text is not None:
        path.write_text(text)
    ran = run("alerts", "render", "-f", str(path))
    assert ran.code == 1
    assert says in ran.err


def test_a_rule_that_is_not_there_is_said(api: StubApi, kubeconfig: Path) -> None:
    api.objects[RULES] = api.objects[PROVIDERS] = listed()
    ran = run("alerts", "render", "nothing", kubeconfig=kubeconfig)
    assert ran.code == 1
    assert "no valid AlertRule nothing" in ran.err
