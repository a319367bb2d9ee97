"""Requests, answers and streams with values swapped for others: only TranslationError comes out.

The seeds are the golden cases; runs are bounded and seeded, a failing seed stands in the test's name.
"""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.reasoning import without_foreign_thoughts
from cliproxy_sidecar.core.translate.responses_input import without_foreign_reasoning
from cliproxy_sidecar.core.translate.token_estimate import estimated_count
from support.fuzzing import mutated_json
from support.translating import encoded, request_outcome, translation

GOLDEN = Path(__file__).parents[1] / "translate_golden"
CASES = sorted(GOLDEN.glob("*/*/in.json"))
ROUNDS = 60


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_only_declared_errors(case: Path) -> None:
    caller, kind = case.parts[-3].rsplit("_", 1)
    given = json.loads(case.read_text(encoding="utf-8"))
    chance = random.Random(str(case.parts[-3:]))  # noqa: S311 -- a seeded chance
    for _ in range(ROUNDS):
        if kind == "request":
            body = mutated_json(chance, given["body"])
            request_outcome(caller, body, **given.get("destination", {}))
            raw = json.dumps(body).encode()
            without_foreign_thoughts(raw.replace(b'"x"', b'"cliproxy-unsigned"'))
            without_foreign_reasoning(raw.replace(b"gAAAAABo", b"cliproxy-thoughts-"))
            with contextlib.suppress(TranslationError):
                assert estimated_count(Dialect.ANTHROPIC, raw)
            continue
        made = translation(caller, given.get("request", {}))
        with contextlib.suppress(TranslationError):
            if kind == "answer":
                made.answer(json.dumps(mutated_json(chance, given["body"])).encode())
            else:
                play(made.stream(), encoded(mutated_json(chance, given["events"])))


def play(translator: Any, stream: bytes) -> None:
    parser = SSEParser()
    for start in range(0, len(stream), 100):
        out = translator.feed(parser.feed(stream[start : start + 100]))
        assert isinstance(out, bytes)
    translator.finish()
    assert translator.finish() == b""


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
)
def test_bodies_that_are_no_objects(body: bytes) -> None:
    made = translation("chat", {})
    for take in (made.answer, lambda body: made.stream().feed(SSEParser().feed(b"data: " + body + b"\n\n"))):
        with pytest.raises(TranslationError):
            take(body or b"x")
    assert json.loads(made.error(400, body, too_long=False))["error"]["message"]
    assert without_foreign_thoughts(body) == body


@pytest.mark.parametrize("deep", [b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000 + b"1" + b"}" * 3000])
@pytest.mark.parametrize("field", ["choices", "usage", "model", "error", "unheard of"])
def test_what_only_later_pythons_can_read_is_answered_or_refused(deep: bytes, field: str) -> None:
    """Python 3.12 and later decode such depths; code of ours that walks them must not break."""
    body = b'{"%s": %s}' % (field.encode(), deep)
    made = translation("chat", {})
    for take in (made.answer, lambda body: made.stream().feed(SSEParser().feed(b"data: " + body + b"\n\n"))):
        with contextlib.suppress(TranslationError):
            assert isinstance(take(body), bytes)
