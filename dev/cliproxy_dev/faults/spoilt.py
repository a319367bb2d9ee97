"""Random invalid objects of our four kinds, the same for the same seed. Pure but for reading the examples.

Each begins as a published example and is spoilt in one to three places: by a fault that only our own code can
see, or by a value that does not belong where it stands. Now and then such a value happens to be allowed.
"""

import copy
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

Json = dict[str, Any]
EXAMPLES: Final = Path(__file__).resolve().parents[3] / "examples"
FILES: Final = {
    "LLMProvider": (
        "provider-anthropic",
        "provider-azure",
        "provider-gemini",
        "provider-openai",
        "provider-vllm",
    ),
    "CooldownPolicy": ("cooldownpolicy",),
    "AlertRule": ("alertrule",),
    "ProxyProfile": ("proxyprofile",),
}
PLURALS: Final = {
    "LLMProvider": "llmproviders",
    "CooldownPolicy": "cooldownpolicies",
    "AlertRule": "alertrules",
    "ProxyProfile": "proxyprofiles",
}
JUNK: Final[tuple[Any, ...]] = (
    -1,
    0,
    2**31,
    2**63 - 1,
    1.5,
    True,
    "",
    " ",
    "0s",
    "-5m",
    "PT30S",
    "1 day",
    "99999999h",
    "NaN",
    "1e309",
    "\u0000",
    "\u202e\ufeff",
    "ftp://example/x",
    "http://169.254.169.254/latest",
    "x" * 5000,
    [],
    {},
    [[]],
    {"a": {"b": {"c": []}}},
    ["", ""],
)
NOWHERE: Final = "http://127.0.0.1:9"
"""Where the spoilt providers are, should one be taken for good: nobody listens there."""

Spoil = Callable[[random.Random, Json], None]


def spoilt(chance: random.Random, name: str) -> Json:
    """Return one invalid object of a random kind."""
    kind = chance.choice(tuple(FILES))
    body = _example(chance.choice(FILES[kind]), kind)
    body["metadata"] = {"name": name}
    own = _OWN[kind]
    for _ in range(chance.randint(1, 3)):
        spoil = chance.choice(own) if chance.random() < 0.5 else _misplace  # noqa: PLR2004 -- one half each
        spoil(chance, body["spec"])
    return body


def _example(file: str, kind: str) -> Json:
    body = copy.deepcopy(_read(file, kind))
    spec = body["spec"]
    spec.pop("default", None)  # a default policy would be everybody's
    if kind == "LLMProvider":
        spec["baseURL"] = NOWHERE
        for number, model in enumerate(spec["models"]):
            model["name"] = f"spoilt-model-{number}"
    return body


@cache
def _read(file: str, kind: str) -> Json:
    documents = yaml.safe_load_all((EXAMPLES / f"{file}.yaml").read_text("utf-8"))
    found: Json = next(one for one in documents if one["kind"] == kind)
    return found


def _misplace(chance: random.Random, spec: Json) -> None:
    """Put a value that does not belong there at a random place."""
    place: Any = spec
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = chance.choice(keys)
        below = place[key]
        if isinstance(below, dict | list) and below and chance.random() < 0.7:  # noqa: PLR2004 -- mostly go down
            place = below
            continue
        place[key] = copy.deepcopy(chance.choice(JUNK))
        return


def _no_secret(chance: random.Random, spec: Json) -> None:
    spec["credentials"] = [
        {"name": "main", "secretRef": {"name": f"nowhere-{chance.randrange(9)}", "key": "x"}}
    ]


def _twice(_: random.Random, spec: Json) -> None:
    models = spec.get("models")
    if isinstance(models, list) and models:
        models.append(copy.deepcopy(models[0]))


def _inside(chance: random.Random, spec: Json) -> None:
    spec["baseURL"] = chance.choice(
        ("http://169.254.169.254", "http://[fe80::1]", "https://user:pw@example.com")
    )


def _nobodys_policy(_: random.Random, spec: Json) -> None:
    spec["cooldownPolicyRef"] = {"name": "nobody"}


def _key_in_header(_: random.Random, spec: Json) -> None:
    spec["headers"] = {"authorization": "Bearer planted", "x-api-key": "planted"}


def _falling_ramp(_: random.Random, spec: Json) -> None:
    spec["recovery"] = {"ramp": [100, 50, 10]}


def _no_sense(chance: random.Random, spec: Json) -> None:
    spec["condition"] = chance.choice(
        ("error_rate >>> 1", "nobody > 1", "(" * 200, "error_rate > 0.05 &&", 'p95_latency == "soon"')
    )


def _nobody_told(_: random.Random, spec: Json) -> None:
    spec["notifications"] = [{"name": "x", "slack": {"webhookSecretRef": {"name": "nowhere", "key": "url"}}}]


def _no_consumer(_: random.Random, spec: Json) -> None:
    spec["consumers"] = [{"name": "x", "keySecretRef": {"name": "nowhere", "key": "x"}}] * 2


def _shared_nowhere(_: random.Random, spec: Json) -> None:
    spec["cache"] = {"enabled": True, "redis": {"url": "nonsense"}}


_OWN: Final[dict[str, tuple[Spoil, ...]]] = {
    "LLMProvider": (_no_secret, _twice, _inside, _nobodys_policy, _key_in_header),
    "CooldownPolicy": (_falling_ramp,),
    "AlertRule": (_no_sense, _nobody_told),
    "ProxyProfile": (_no_consumer, _shared_nowhere),
}
