"""Mutations: bytes and JSON values spoilt a little, so that they stay near what really arrives."""

import json
import random
from copy import deepcopy
from typing import Any

JUNK_BYTES = [
    b"\x00",
    b"\xff",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b"\\u",
    b"\r",
    b"\n",
    b"\n\n",
    b"-",
    b"9" * 30,
    b"null",
]
JUNK_BYTES += [
    b"1e999",
    b"data: ",
    b"event: error\n",
    b'"usage":{',
    b'"model":',
    b'"error":',
    b":",
    b",",
    b"[" * 2000,
    b"[" * 3000 + b"]" * 3000,  # Python 3.12 and later can read it, walking it is another matter
]


def mutated_bytes(chance: random.Random, seed: bytes) -> bytes:
    """Return the seed with a few bytes put in, cut out, doubled or replaced."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(data))
        stop = min(len(data), at + chance.randint(0, 8))
        match chance.randint(0, 3):
            case 0:
                data[at:at] = chance.choice(JUNK_BYTES)
            case 1:
                del data[at:stop]
            case 2:
                data[at:stop] = data[at:stop] * 2
            case _:
                data = data[:at] if chance.random() < 0.2 else data
                data[at:stop] = chance.randbytes(stop - at)
    return bytes(data)


DEEP: Any = json.loads("[" * 100 + "]" * 100)
JUNK_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**80,
    "",
    "x",
    "\u0000",
    [],
    [None],
    {},
    {"type": "x"},
    DEEP,
]
JUNK_VALUES += [{"type": "text"}, {"type": []}, [{}], [{"type": "tool_use"}], {"error": {}}, "data:;base64,"]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def mutated_json(chance: random.Random, value: Any) -> Any:
    """Return a copy of the value with one to three places swapped for junk, or gone."""
    copy = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        found = places(copy)
        if not found:
            break
        container, key = chance.choice(found)
        if chance.random() < 0.2:
            del container[key]
        else:
            container[key] = deepcopy(chance.choice(JUNK_VALUES))
    return copy
