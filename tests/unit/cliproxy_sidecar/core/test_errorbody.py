"""Error bodies of all shapes come out in one."""

import pytest

from cliproxy_sidecar.core.errorbody import MAX_MESSAGE_CHARS, MAX_WORD_CHARS, ErrorBody, read_error


def test_openais_shape() -> None:
    error = read_error(b'{"error":{"message":"Slow","type":"requests","param":null,"code":"Rate_Limit"}}', {})
    assert error == ErrorBody(words=("rate_limit", "requests"), code="Rate_Limit", message="Slow")


def test_a_failed_response() -> None:
    body = b'{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"m"}}}'
    assert read_error(body, {}).words == ("rate_limit_exceeded",)


def test_anthropics_details_are_more_specific_than_its_type() -> None:
    body = (
        b'{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"spend"}}}'
    )
    assert read_error(body, {}).words == ("spend", "rate_limit_error")


def test_azures_inner_code_comes_first() -> None:
    body = b'{"error":{"code":"BadRequest","innererror":{"code":"ResponsibleAIPolicyViolation"}}}'
    assert read_error(body, {}).words == ("responsibleaipolicyviolation", "badrequest")


def test_geminis_array_and_details() -> None:
    body = (
        b'[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":['
        b'{"violations":[{"quotaId":"PerDay"},{"quotaId":7},"x"]},{"reason":"WHY"},{"retryDelay":"3s"}]}}]'
    )
    error = read_error(body, {})
    assert error.words == ("why", "resource_exhausted")
    assert (error.status, error.quota_ids, error.retry_delay) == (429, ("PerDay",), "3s")


def test_awss_names_in_header_and_body() -> None:
    header = {"x-amzn-errortype": "ThrottlingException:http://internal/"}
    assert read_error(b"{}", header).words == ("throttlingexception",)
    assert read_error(b'{"__type":"com.amazon#ThrottlingException"}', {}).words == ("throttlingexception",)
    assert read_error(b"not json", header).words == ("throttlingexception",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"no such model"}', "no such model"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"Message":"no"}', "no"),
        (b'{"object":"error","message":"flat","code":400}', "flat"),
        (b'"just text"', "just text"),
        (b"Too Many Requests", "Too Many Requests"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b"[]", ""),
        (b"[[1]]", ""),
        (b"3", ""),
        (b'{"error":[1]}', ""),
        (b'{"message":{"a":1}}', ""),
    ],
)
def test_envelopeless_errors(body: bytes, message: str) -> None:
    assert read_error(body, {}).message == message


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("429", 429),
        ('"429"', 429),
        ("399", None),
        ("600", None),
        ("true", None),
        ('"42x"', None),
        ("4.29e2", None),
    ],
)
def test_only_http_error_codes_are_statuses(code: str, status: int | None) -> None:
    assert read_error(f'{{"error":{{"code":{code}}}}}'.encode(), {}).status == status


def test_what_is_kept_is_bounded_and_printable() -> None:
    long = "\\n" + "x" * 10_000
    error = read_error(f'{{"error":{{"code":"{long}","message":"{long}"}}}}'.encode(), {})
    assert len(error.message) == MAX_MESSAGE_CHARS
    assert error.code is not None
    assert len(error.code) <= MAX_WORD_CHARS
    assert error.code.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"code":' + b"9" * 5000 + b"}"])
def test_hostile_json_is_read_as_text(body: bytes) -> None:
    assert read_error(body, {}).words == ()


def test_a_validators_details_become_one_text() -> None:
    item = b'{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted"}'
    found = read_error(b'{"detail":[' + item + b',{"msg":"no"},3]}', {})
    assert found.message == "body.user: Extra inputs are not permitted; no"
    inside = read_error(b'{"object":"error","message":{"detail":[' + item + b"]}}", {})
    assert inside.message == "body.user: Extra inputs are not permitted"
