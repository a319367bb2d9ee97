"""What passes between caller and provider, and what never does."""

import pytest

from cliproxy_api.snapshot import Credential, Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.headers import (
    CREDENTIALS,
    HOP_BY_HOP,
    MAX_KNOWN_NAMES,
    Header,
    Sieve,
    UnusableCredentialError,
    answer_block,
    auth_headers,
    fixed_headers,
    headers_of,
    request_block,
)
from support.build import bare_provider


def provider(provider_type: ProviderType, headers: dict[str, str] | None = None) -> Provider:
    return Provider(
        id="ns/p",
        name="p",
        type=provider_type,
        base_url="https://h.example",
        credentials=(Credential(name="a", secret="ns/s/k", secret_digest="d"),),
        models=(),
        headers=headers or {},
    )


def sent(
    provider_type: ProviderType, downstream: list[Header], headers: dict[str, str] | None = None
) -> list[Header]:
    return headers_of(request_block(downstream, fixed_headers(provider(provider_type, headers), "sk-ours")))


def answered(upstream: list[Header]) -> list[Header]:
    return headers_of(answer_block(upstream))


@pytest.mark.parametrize(
    ("provider_type", "key", "header"),
    [
        (ProviderType.OPENAI, "k", (b"authorization", b"Bearer k")),
        (ProviderType.OPENAI_COMPATIBLE, "k", (b"authorization", b"Bearer k")),
        (ProviderType.GEMINI, "k", (b"authorization", b"Bearer k")),
        (ProviderType.AZURE_OPENAI, "k", (b"api-key", b"k")),
        (ProviderType.ANTHROPIC, "k", (b"x-api-key", b"k")),
        (ProviderType.ANTHROPIC, "sk-ant-oat01-x", (b"authorization", b"Bearer sk-ant-oat01-x")),
        (ProviderType.OPENAI, " k\n", (b"authorization", b"Bearer k")),
    ],
)
def test_each_type_is_shown_the_key_its_way(provider_type: ProviderType, key: str, header: Header) -> None:
    assert auth_headers(provider_type, key) == [header]


@pytest.mark.parametrize("key", ["", " \n", "sk-a\nb", "sk-\x00", "sk-\u00e9", "sk-\U0001f511"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(UnusableCredentialError) as caught:
        auth_headers(ProviderType.OPENAI, key)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("provider_type", ProviderType)
def test_no_credential_of_the_caller_reaches_a_provider(provider_type: ProviderType) -> None:
    downstream = [(name, b"callers-secret") for name in sorted(CREDENTIALS | HOP_BY_HOP)]
    headers = sent(provider_type, downstream)
    assert all(b"callers-secret" not in value for _, value in headers)
    assert any(b"sk-ours" in value for _, value in headers)


@pytest.mark.parametrize(
    "name",
    [
        *(b"host", b"content-length", b"expect", b"x-cliproxy-provider", b"via", b"forwarded", b"x-real-ip"),
        *(b"x-forwarded-for", b"x-forwarded-client-cert", b"x-forwarded-access-token", b"x-forwarded-user"),
        *(b"x-auth-request-access-token", b"x-amzn-oidc-accesstoken", b"x-ms-token-aad-access-token"),
        *(b"x-envoy-peer-metadata", b"x-goog-iap-jwt-assertion", b"x-ms-client-principal"),
    ],
)
def test_what_belongs_to_this_hop_stays_here(name: bytes) -> None:
    assert name not in dict(sent(ProviderType.OPENAI, [(name, b"x")]))


@pytest.mark.parametrize(
    "header",
    [
        (b"user-agent", b"sdk/1"),
        (b"anthropic-beta", b"a,b"),
        (b"openai-beta", b"c"),
        (b"traceparent", b"00-1-2-01"),
        (b"idempotency-key", b"i"),
        (b"x-stainless-lang", b"python"),
        (b"content-type", b"application/json; charset=utf-8"),
    ],
)
def test_the_rest_passes_as_it_came(header: Header) -> None:
    assert header in sent(ProviderType.ANTHROPIC, [header])


def test_answers_are_asked_for_uncompressed() -> None:
    headers = sent(ProviderType.OPENAI, [(b"accept-encoding", b"gzip, br")])
    assert [value for name, value in headers if name == b"accept-encoding"] == [b"identity"]


def test_defaults_fill_in_what_the_caller_left_out() -> None:
    assert (b"anthropic-version", b"2023-06-01") in sent(ProviderType.ANTHROPIC, [])
    assert (b"content-type", b"application/json") in sent(ProviderType.OPENAI, [])
    assert b"anthropic-version" not in dict(sent(ProviderType.OPENAI, []))
    own = sent(ProviderType.ANTHROPIC, [(b"anthropic-version", b"2099-01-01")])
    assert [value for name, value in own if name == b"anthropic-version"] == [b"2099-01-01"]


def test_the_objects_headers_win_over_the_callers_and_the_key_over_both() -> None:
    headers = sent(
        ProviderType.ANTHROPIC,
        [(b"x-team", b"caller"), (b"anthropic-version", b"caller")],
        {
            "X-Team": "object",
            "Anthropic-Version": "object",
            "X-Api-Key": "object",
            "openai-organization": "org",
        },
    )
    assert [value for name, value in headers if name == b"x-team"] == [b"object"]
    assert [value for name, value in headers if name == b"anthropic-version"] == [b"object"]
    assert [value for name, value in headers if name == b"x-api-key"] == [b"sk-ours"]
    assert (b"openai-organization", b"org") in headers


def test_what_connection_names_goes_no_further() -> None:
    hop = [(b"connection", b"close, X-Secret"), (b"x-secret", b"1"), (b"x-other", b"2")]
    names = dict(sent(ProviderType.OPENAI, hop))
    assert b"x-secret" not in names
    assert names[b"x-other"] == b"2"
    assert answered(hop) == [(b"x-other", b"2")]


def test_answers_lose_cookies_hops_and_claims_to_be_us() -> None:
    upstream = [
        (b"Content-Type", b"application/json"),
        (b"Set-Cookie", b"a=1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Alt-Svc", b"h3"),
        (b"X-CLIProxy-Provider", b"spoof"),
        (b"Retry-After", b"8"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"Content-Length", b"5"),
        (b"vary", b"a"),
        (b"vary", b"b"),
    ]
    assert answered(upstream) == [
        (b"content-type", b"application/json"),
        (b"retry-after", b"8"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"vary", b"a"),
        (b"vary", b"b"),
    ]


def test_a_providers_request_id_makes_room_for_ours() -> None:
    assert answered([(b"X-Request-Id", b"theirs")]) == [(b"x-cliproxy-upstream-request-id", b"theirs")]


@pytest.mark.parametrize("value", [b"a\r\nx-admin: 1", b"a\nb", b"\n"])
def test_a_value_never_becomes_a_second_header(value: bytes) -> None:
    assert answered([(b"x-one", value), (b"x-two", b"2")]) == [(b"x-two", b"2")]
    with pytest.raises(UnusableCredentialError):
        fixed_headers(provider(ProviderType.OPENAI, {"x-one": value.decode()}), "sk-ours")


def test_more_names_than_are_remembered_are_judged_alike() -> None:
    sieve = Sieve(frozenset({b"x-dropped"}))
    made_up = [(b"x-%d" % number, b"v") for number in range(MAX_KNOWN_NAMES + 10)]
    assert headers_of(sieve.block([*made_up, (b"X-Dropped", b"v"), (b"X-Kept", b"v")])) == [
        *made_up,
        (b"x-kept", b"v"),
    ]


def test_a_provider_that_takes_no_key_gets_none() -> None:
    fixed = fixed_headers(provider(ProviderType.OPENAI_COMPATIBLE, {"x-team": "a"}), None)
    sent_lines = dict(headers_of(request_block([(b"authorization", b"Bearer callers-own")], fixed)))
    assert sent_lines[b"x-team"] == b"a"
    assert not {b"authorization", b"x-api-key", b"api-key"} & sent_lines.keys()


def test_gemini_is_shown_the_key_by_the_address() -> None:
    for base_url, name in (("", b"x-goog-api-key"), ("https://h/v1beta/openai", b"authorization")):
        fixed = fixed_headers(bare_provider(ProviderType.GEMINI, base_url), "k")
        assert [item for item in fixed.items if b"k" in item[1]][-1][0] == name


def test_all_that_any_connection_header_names_stays_here() -> None:
    named = [(b"connection", b"x-mine"), (b"x-mine", b"1"), (b"connection", b"keep-alive"), (b"x-too", b"2")]
    assert b"x-mine" not in dict(sent(ProviderType.OPENAI, named))
    assert (b"x-too", b"2") in sent(ProviderType.OPENAI, named)
    assert answered(named) == [(b"x-too", b"2")]


def test_long_names_are_not_remembered() -> None:
    sieve = Sieve(frozenset())
    assert sieve.block([(b"x" * 65, b"1"), (b"y" * 64, b"2")]).count(b"\n") == 2
    assert list(sieve._starts) == [b"y" * 64]
