"""Whatever the pod: the patch fits it, says no more than needed, and a second look changes nothing."""

import copy
from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_operator.inject.injection import inject
from cliproxy_operator.inject.jsonpatch import diff
from cliproxy_operator.inject.template import Template

words = st.sampled_from(["a", "b", "x/y", "m~n", "name", "cliproxy", "spec", ""])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)

names = st.sampled_from(["app", "worker", "cliproxy", "istio-proxy", "linkerd-proxy"])
variables = st.sampled_from(
    [
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "OPENAI_API_KEY",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
        "X",
    ]
)
env = st.lists(
    st.fixed_dictionaries(
        {"name": variables}, optional={"value": st.sampled_from(["", "http://127.0.0.1:8317"])}
    ),
    max_size=3,
)
container = st.fixed_dictionaries(
    {"name": names},
    optional={
        "env": st.none() | env,
        "envFrom": st.none()
        | st.lists(st.fixed_dictionaries({}, optional={"prefix": st.sampled_from(["", "A"])})),
        "ports": st.none()
        | st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 8317, 9090])})),
        "restartPolicy": st.just("Always"),
    },
)
containers = st.lists(container, max_size=3, unique_by=lambda one: str(one["name"]))
settings = st.dictionaries(
    st.sampled_from(
        [
            "cliproxy.io/inject",
            "cliproxy.io/injected",
            "cliproxy.io/sidecar",
            "cliproxy.io/cpu-request",
            "cliproxy.io/cpu-limit",
            "cliproxy.io/memory-limit",
            "cliproxy.io/proxy-port",
            "cliproxy.io/observe-port",
            "cliproxy.io/inject-env",
        ]
    ),
    st.sampled_from(["true", "false", "", "8317", "9090", "1", "64Mi", "always", "never", "\u0664"]),
    max_size=4,
)
pods = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": st.none() | settings, "annotations": settings}
        ),
        "spec": st.fixed_dictionaries(
            {"containers": containers},
            optional={
                "initContainers": st.none() | containers,
                "resources": st.none() | st.just({}) | st.just({"requests": {"cpu": "1"}, "limits": None}),
                "volumes": st.none() | st.just([{"name": "data", "emptyDir": {}}]),
                "hostNetwork": st.booleans(),
                "restartPolicy": st.sampled_from(["Always", "Never"]),
                "nodeSelector": st.none() | st.just({"kubernetes.io/os": "windows"}),
            },
        ),
    }
)


@given(plain, plain)
def test_a_difference_applied_is_the_other(old: Any, new: Any) -> None:
    wrapped = {"v": old}

    made = jsonpatch.apply_patch(copy.deepcopy(wrapped), copy.deepcopy(diff(wrapped, {"v": new})))

    assert made == {"v": new}


@given(plain)
def test_equals_have_no_difference(value: Any) -> None:
    assert diff(value, copy.deepcopy(value)) == []


bare = st.fixed_dictionaries(
    {}, optional={"metadata": st.none() | st.just({}), "spec": st.none() | st.just({})}
)


@given(pods | bare, st.booleans())
def test_injection_is_total_and_settles(pod: dict[str, Any], native: bool) -> None:  # noqa: FBT001 -- Hypothesis'
    template = Template(image="sidecar:1", native=native)
    before = copy.deepcopy(pod)

    first = inject(pod, template)
    made = jsonpatch.apply_patch(pod, copy.deepcopy(list(first.patch)))

    assert pod == before
    assert inject(made, template).patch == ()
    assert all(len(warning) <= 256 for warning in first.warnings)
