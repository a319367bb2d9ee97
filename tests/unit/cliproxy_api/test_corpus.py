"""Types, rules and the CRDs' schemas say the same about every object of the corpus."""

from typing import Any

import pytest

from cliproxy_api.resources.parse import ParseFailure, parse
from cliproxy_api.rules import RULES, violations
from cliproxy_dev.crds import load_sources
from support import corpus, schema_judge

CASES = corpus.load()
SCHEMAS: dict[str, dict[str, Any]] = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in load_sources()
}


def judged(kind: str, body: dict[str, Any]) -> list[tuple[str, str]]:
    resource = parse(kind, body)
    found = resource.problems if isinstance(resource, ParseFailure) else violations(resource)
    return [(one.path, one.message) for one in found]


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert sum(case.good for case in CASES) >= 15
    assert sum(not case.good for case in CASES) >= 100
    assert {case.kind for case in CASES} == set(SCHEMAS)


@pytest.mark.parametrize("case", [case for case in CASES if case.good], ids=lambda case: case.id)
def test_good_objects_pass_types_and_rules(case: corpus.Case) -> None:
    assert judged(case.kind, case.body) == []


@pytest.mark.parametrize("case", [case for case in CASES if not case.good], ids=lambda case: case.id)
def test_bad_objects_are_refused_with_the_field_at_fault(case: corpus.Case) -> None:
    found = judged(case.kind, case.body)
    assert case.path in [path for path, _ in found]
    assert all(path.startswith("spec") and message for path, message in found)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_rule_is_broken_by_some_object(kind: str) -> None:
    said = {message for case in CASES if case.kind == kind for _, message in judged(kind, case.body)}
    assert {rule.message for rule in RULES[kind]} <= said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_schema_agrees(case: corpus.Case) -> None:
    refused = bool(schema_judge.refusals(SCHEMAS[case.kind], case.body))
    assert refused is (not case.good and not case.needs)


@pytest.mark.parametrize(("name", "body"), corpus.examples(), ids=[name for name, _ in corpus.examples()])
def test_published_examples_are_valid(name: str, body: dict[str, Any]) -> None:
    assert judged(body["kind"], body) == []
    assert schema_judge.refusals(SCHEMAS[body["kind"]], body) == []
