"""Random invalid objects: reproducible, of all kinds, and nearly all really invalid."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from cliproxy_api.resources.parse import ParseFailure, parse
from cliproxy_dev.faults.spoilt import FILES, NOWHERE, spoilt


def many(seed: int, count: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)  # noqa: S311 -- the same objects each time
    return [spoilt(chance, f"bad-{number}") for number in range(count)]


def test_the_same_seed_gives_the_same_objects() -> None:
    assert many(3, 50) == many(3, 50)
    assert many(3, 50) != many(4, 50)


def test_all_kinds_come_and_each_can_be_sent() -> None:
    made = many(1, 300)

    assert {one["kind"] for one in made} == set(FILES)
    assert all(one["metadata"] == {"name": f"bad-{number}"} for number, one in enumerate(made))
    assert all(json.loads(json.dumps(one)) == one for one in made)
    assert len({json.dumps(one["spec"], sort_keys=True) for one in made}) > 200


def test_nobody_elses_traffic_can_be_touched() -> None:
    for one in many(2, 500):
        spec = one["spec"]
        assert "default" not in spec
        assert not {"claude-sonnet-5", "gpt-4o-mini"} & set(names(spec.get("models")))
        assert not str(spec.get("baseURL", NOWHERE)).startswith("https://api.")


def names(models: Any) -> list[str]:
    listed = models if isinstance(models, list) else []
    return [str(one.get("name")) for one in listed if isinstance(one, dict)]


def test_many_are_refused_by_our_own_parser_and_many_need_more_than_that() -> None:
    verdicts = Counter(isinstance(parse(one["kind"], one), ParseFailure) for one in many(4, 300))

    assert min(verdicts.values()) > 60
