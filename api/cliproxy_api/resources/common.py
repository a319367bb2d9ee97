"""What all kinds share: metadata, conditions, references, selectors, and how a field's bounds are written.

The helpers `text`, `timespan`, `money`, `whole` and `ratio` make one field's annotation: its description and
bounds. `cliproxy_api.resources.shape` reads them back, for messages, rules and the test against `crds/`.
"""

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from cliproxy_api.durations import DURATION_PATTERN
from cliproxy_api.money import MONEY_PATTERN
from cliproxy_api.vocabulary import ConditionStatus, SelectorOperator

DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
HEADER_VALUE: Final = r"^[\t\x20-\x7e]*$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
HTTP_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
"""Without user, query and fragment: keys do not belong into addresses."""
INSTANT: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
LABEL_KEY: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
MODEL_NAME: Final = r"^[A-Za-z0-9@_][A-Za-z0-9@._:/+-]*$"
SECRET_DATA_KEY: Final = r"^[-._a-zA-Z0-9]+$"  # noqa: S105 -- the shape of a Secret's key name

_WORDS: Final = {"url": "URL"}


def wire_name(name: str) -> str:
    """Return a field's name in YAML: `base_url` is `baseURL`, `class_` is `class`."""
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(_WORDS.get(word, word[:1].upper() + word[1:]) for word in tail)


def text(description: str, *, at_most: int, at_least: int = 1, pattern: str | None = None) -> Meta:
    """Describe a string field; the bounds are characters."""
    return Meta(description=description, min_length=at_least, max_length=at_most, pattern=pattern)


def timespan(description: str, *, at_least: str, at_most: str) -> Meta:
    """Describe a duration field; the bounds are durations, enforced by `cliproxy_api.rules` and by CEL."""
    return Meta(
        description=description,
        min_length=2,
        max_length=20,
        pattern=DURATION_PATTERN,
        extra_json_schema={"x-at-least": at_least, "x-at-most": at_most},
    )


def money(description: str) -> Meta:
    """Describe an amount in US dollars."""
    return Meta(description=description, min_length=1, max_length=19, pattern=MONEY_PATTERN)


def whole(description: str, *, at_least: int = 0, at_most: int | None = None) -> Meta:
    """Describe an integer field."""
    return Meta(description=description, ge=at_least, le=at_most)


def ratio(description: str, *, at_least: float = 0, at_most: float = 1) -> Meta:
    """Describe a number with a fraction."""
    return Meta(description=description, ge=at_least, le=at_most)


def items(description: str, *, at_most: int, at_least: int | None = None) -> Meta:
    """Describe a list or map; the bounds are entries."""
    return Meta(description=description, min_length=at_least, max_length=at_most)


def keyed(description: str, key: str, *, at_most: int, at_least: int | None = None) -> Meta:
    """Describe a list whose entries differ in `key`: the API server refuses and merges by it."""
    return Meta(
        description=description,
        min_length=at_least,
        max_length=at_most,
        extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]},
    )


def instant(description: str) -> Meta:
    """Describe a moment, RFC 3339."""
    return Meta(
        description=description,
        min_length=20,
        max_length=35,
        pattern=INSTANT,
        extra_json_schema={"format": "date-time"},
    )


class ObjectMeta(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """The part of an object's metadata that we act on."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """One aspect of an object's state, as Kubernetes' own objects report it."""

    type: Annotated[
        str,
        text(
            "Name of the aspect in CamelCase; set by the operator.",
            at_most=64,
            pattern=r"^[A-Z][A-Za-z0-9]*$",
        ),
    ]
    status: Annotated[
        ConditionStatus, Meta(description="Whether it holds: True, False or Unknown; set by the operator.")
    ]
    reason: Annotated[
        str,
        text(
            "Why, as one CamelCase word for programs; set by the operator.",
            at_most=128,
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        ),
    ]
    message: Annotated[
        str,
        text(
            "Why and what to do about it, as a sentence for people; set by the operator.",
            at_least=0,
            at_most=2048,
        ),
    ]
    last_transition_time: Annotated[
        str, instant("When `status` last changed from one value to another; set by the operator.")
    ]
    observed_generation: (
        Annotated[int, whole("The metadata.generation that this was judged from; set by the operator.")]
        | None
    ) = None


class SecretRef(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Names one value in a Secret of the object's own namespace."""

    name: Annotated[
        str, text("Name of the Secret, in the namespace of this object.", at_most=253, pattern=DNS_SUBDOMAIN)
    ]
    key: Annotated[
        str, text("Key in the Secret's data whose value is taken.", at_most=253, pattern=SECRET_DATA_KEY)
    ]


class LabelRequirement(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One line of a label selector."""

    key: Annotated[str, text("Label key that the requirement is about.", at_most=317, pattern=LABEL_KEY)]
    operator: Annotated[
        SelectorOperator, Meta(description="How the label is judged: In, NotIn, Exists or DoesNotExist.")
    ]
    values: Annotated[
        tuple[Annotated[str, text("One value.", at_least=0, at_most=63, pattern=LABEL_VALUE)], ...],
        items("Values for In and NotIn; left out for Exists and DoesNotExist.", at_most=32),
    ] = ()


class LabelSelector(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Selects objects by their labels; all requirements must hold, none selects everything."""

    match_labels: Annotated[
        dict[str, Annotated[str, text("One value.", at_least=0, at_most=63, pattern=LABEL_VALUE)]],
        items("Labels that must be there with exactly these values.", at_most=32),
    ] = {}
    match_expressions: Annotated[
        tuple[LabelRequirement, ...], items("Further requirements, all of which must hold.", at_most=16)
    ] = ()

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _holds(requirement, labels) for requirement in self.match_expressions
        )


class SidecarCounts(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """How many sidecars there are and run the current configuration."""

    total: Annotated[int, whole("Sidecars that this object concerns; set by the operator.")] | None = None
    ready: Annotated[int, whole("Of these, how many are ready to serve; set by the operator.")] | None = None
    synced: (
        Annotated[int, whole("Of these, how many run the current generation; set by the operator.")] | None
    ) = None
    summary: (
        Annotated[
            str, text("Synced of total, such as 2/2, for the SYNCED column; set by the operator.", at_most=32)
        ]
        | None
    ) = None


def to_wire(value: msgspec.Struct) -> dict[str, Any]:
    """Return a status (or any struct of this package) as plain JSON types with the names used in YAML."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def is_label_key(key: str) -> bool:
    """Whether the API server would take this as a label's key."""
    return re.match(LABEL_KEY, key, re.ASCII) is not None


def _holds(requirement: LabelRequirement, labels: dict[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case SelectorOperator.IN:
            return value is not None and value in requirement.values
        case SelectorOperator.NOT_IN:
            # As in Kubernetes: an object without the label is selected.
            return value is None or value not in requirement.values
        case SelectorOperator.EXISTS:
            return value is not None
        case SelectorOperator.DOES_NOT_EXIST:
            return value is None


ObservedGeneration = Annotated[
    int,
    whole(
        "The metadata.generation that this status was made from, -1 before the first; set by the operator.",
        at_least=-1,
    ),
]
"""What every status begins with."""
RestoredFrom = Annotated[
    str,
    text("The backup whose run-time state was last taken over, by its id; set by the operator.", at_most=64),
]
"""Of every kind whose status holds what cannot be found out again."""
