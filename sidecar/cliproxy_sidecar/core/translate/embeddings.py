"""Embeddings between OpenAI's form and Gemini's own, both ways.

Gemini counts no tokens here, so the figures that OpenAI's callers read are ours, from sizes; accounting is
`core.usage`'s. Sources: OpenAI API reference, embeddings; Gemini API reference, embeddings (read 2026-11).
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from cliproxy_sidecar.core.translate.draft import Destination, Draft, Rule, elsewhere, hint, renamed, write
from cliproxy_sidecar.core.translate.fields import (
    Object,
    TranslationError,
    count,
    inner,
    mapping,
    objects,
    sequence,
    text,
    whole,
)
from cliproxy_sidecar.core.translate.gemini_names import canonical

_BYTES_PER_TOKEN: Final = 4
_FLOAT_BYTES: Final = 4


# ------------------------------------------------------------------------ to Gemini
def embeddings_to_gemini(request: Object, destination: Destination) -> Draft:
    """Return the batch request for OpenAI's.

    Raises:
        TranslationError: a field has no equal.

    """
    draft = Draft(request, destination)
    write(draft, _TO_GEMINI)
    more = {"outputDimensionality": draft.body.pop("dimensions")} if "dimensions" in draft.body else {}
    name = f"models/{destination.model.removeprefix('models/')}"
    draft.body["requests"] = [
        {"model": name, "content": {"parts": [{"text": said}]}, **more} for said in _inputs(request)
    ]
    return draft


def _inputs(request: Object) -> list[str]:
    given = request.get("input")
    if isinstance(given, str):
        return [given]
    listed = sequence(given, "input")
    if any(isinstance(item, int | list) for item in listed):
        raise TranslationError("input", "tokens of OpenAI's have no equal: send the text")
    return [text(item, f"input[{place}]") for place, item in enumerate(listed)]


def embeddings_from_gemini(answer: Object, request: Object) -> Object:
    """Return OpenAI's answer for Gemini's.

    Raises:
        TranslationError: it is no answer.

    """
    found = objects(answer.get("embeddings"), "embeddings")
    packed = request.get("encoding_format") == "base64"
    vectors = [_numbers(item.get("values"), f"{field}.values") for field, item in found]
    counted = count(inner(answer, "usageMetadata", "promptTokenCount"))
    tokens = counted or sum(-(-len(said.encode()) // _BYTES_PER_TOKEN) for said in _inputs(request))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _packed(vector) if packed else vector}
            for place, vector in enumerate(vectors)
        ],
        "model": request.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _numbers(values: object, field: str) -> list[float]:
    numbers = sequence(values, field)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        raise TranslationError(field, "must hold numbers")
    return numbers


def _packed(vector: list[float]) -> str:
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (OverflowError, struct.error) as error:
        raise TranslationError("embeddings[].values", "must hold numbers of 32 bits") from error


# ---------------------------------------------------------------------- from Gemini
def embed_from_gemini(request: Object, destination: Destination) -> Draft:
    """Return OpenAI's request for one content.

    Raises:
        TranslationError: a field has no equal.

    """
    return _from_gemini([("", canonical(request))], Draft(request, destination))


def batch_from_gemini(request: Object, destination: Destination) -> Draft:
    """Return OpenAI's request for a batch, whose parts must want the same.

    Raises:
        TranslationError: a field has no equal.

    """
    parts = [(f"{field}.", part) for field, part in objects(canonical(request).get("requests"), "requests")]
    return _from_gemini(parts, Draft(request, destination))


def _from_gemini(parts: list[tuple[str, Object]], draft: Draft) -> Draft:
    inputs: list[str] = []
    for place, (prefix, part) in enumerate(parts):
        one = Draft(part, draft.destination)
        try:
            write(one, _FROM_GEMINI)
        except TranslationError as error:
            raise TranslationError(prefix + error.field, error.message) from error
        for name in one.left_out:
            draft.leave_out(f"requests[].{name}" if prefix else name)
        if place and one.body != draft.body:
            raise TranslationError(f"{prefix}outputDimensionality", "must be the same in all requests there")
        draft.body = one.body
        content = mapping(part.get("content"), f"{prefix}content")
        pieces = objects(content.get("parts"), f"{prefix}content.parts")
        inputs.append("\n".join([text(piece.get("text"), f"{name}.text") for name, piece in pieces]))
    draft.body = {"model": draft.destination.model, "input": inputs, "encoding_format": "float", **draft.body}
    return draft


def embed_to_gemini(answer: Object) -> Object:
    """Return Gemini's answer for one content.

    Raises:
        TranslationError: it is no answer.

    """
    found = batch_to_gemini(answer)["embeddings"]
    if not found:
        raise TranslationError("data", "is empty")
    return {"embedding": found[0]}


def batch_to_gemini(answer: Object) -> Object:
    """Return Gemini's answer for a batch.

    Raises:
        TranslationError: it is no answer.

    """
    listed = objects(answer.get("data"), "data")
    ordered = sorted(listed, key=lambda item: count(item[1].get("index")))
    return {"embeddings": [{"values": _vector(item.get("embedding"), field)} for field, item in ordered]}


def _vector(value: object, field: str) -> list[float]:
    if not isinstance(value, str):
        return _numbers(value, f"{field}.embedding")
    try:
        data = b64decode(value, validate=True)
    except ValueError as error:
        raise TranslationError(f"{field}.embedding", "must be numbers or base64") from error
    return list(
        struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data[: len(data) // _FLOAT_BYTES * _FLOAT_BYTES])
    )


def _format(_: Draft, value: Any) -> None:
    if value not in ("float", "base64"):
        raise TranslationError("encoding_format", "must be float or base64")


_TO_GEMINI: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "input": elsewhere,
    "encoding_format": _format,
    "dimensions": renamed("dimensions", whole, "dimensions"),
    "user": hint("user"),
}
_FROM_GEMINI: Final[Mapping[str, Rule]] = {
    "model": elsewhere,
    "content": elsewhere,
    "outputDimensionality": renamed("dimensions", whole, "outputDimensionality"),
    # What the vector is for: models elsewhere have one kind of vector.
    "taskType": hint("taskType"),
    "title": hint("title"),
}
