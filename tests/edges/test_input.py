"""What is too large, too slow, too deep or not one thing: refused in plain words, and the service goes on."""

from __future__ import annotations

import json
import re
import socket
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.api import middleware, wire
from app.api.bodies import MOST_TOLD, refuse_unstorable
from app.core.settings import Settings
from app.vault import generate_key
from tests.api.problems import assert_problem
from tests.conftest import Api
from tests.edges.served import serving

HEAD_S = 0.3
# Much more than it needs, for a machine that is busy with other tests.
CLOSES_WITHIN_S = 20
BODY_S = 0.3
KEY = "sw_the-first-key-of-the-tests"
KEYED = f"Authorization: Bearer {KEY}\r\n".encode()
POST = f"POST /v1/fields HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    keyed = settings.model_copy(update={"encryption_keys": SecretStr(generate_key())})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "HEAD_S", HEAD_S)
        patch.setattr(middleware, "BODY_S", BODY_S)
        with serving(keyed, patch) as address:
            yield address


@pytest.fixture(autouse=True)
def still_answers(url: str) -> Iterator[None]:
    """Whatever a test sends, the next caller is served."""
    yield
    assert httpx.get(f"{url}/healthz").status_code == 200


def exchange(url: str, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Everything that is answered to raw bytes until the service closes. Raises TimeoutError where it does not."""
    address = httpx.URL(url)
    answered = b""
    with socket.create_connection((address.host, address.port or 80), timeout=CLOSES_WITHIN_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while received := connection.recv(65536):
                answered += received
        except ConnectionError:
            pass  # closed while we were still sending
    return answered


def assert_refused(answered: bytes, status: int) -> dict[str, Any]:
    head, _, body = answered.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answered[:200]
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == status
    assert problem["request_id"]
    return problem


def test_a_url_has_a_longest_length(url: str) -> None:
    assert_refused(
        exchange(url, b"GET /v1/people?q=" + b"a" * wire.MAX_URL_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n"), 414
    )
    fits = (
        b"GET /v1/people?q=" + b"a" * (wire.MAX_URL_BYTES - 100) + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert exchange(url, fits).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"x-%d: y\r\n" % n for n in range(wire.MAX_HEADERS + 1)),
        b"x: " + b"y" * wire.MAX_HEADER_BYTES + b"\r\n",
        b"x" * wire.MAX_HEADER_BYTES + b": y\r\n",
        b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(40)),
    ],
    ids=["many", "long value", "long name", "much together"],
)
def test_headers_have_a_largest_number_and_size(url: str, headers: bytes) -> None:
    assert_refused(exchange(url, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"), 431)


def test_a_head_without_an_end_is_not_kept(url: str) -> None:
    assert_refused(exchange(url, b"GET /healthz HTTP/1.1\r\nx: ", *[b"y" * 8192] * 7, pause_s=0.01), 431)


@pytest.mark.parametrize("begun", [b"GET /healthz HTTP/1.1\r\nx: ", b"GET /heal", b"POST"])
def test_a_head_that_comes_too_slowly_is_not_waited_for(url: str, begun: bytes) -> None:
    assert_refused(exchange(url, begun), 408)


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_on_which_nothing_comes_is_closed(url: str, sent: bytes) -> None:
    assert exchange(url, sent) == b""


def test_a_body_that_comes_too_slowly_is_not_waited_for(url: str) -> None:
    assert_refused(exchange(url, POST.encode() + b'Content-Length: 100\r\n\r\n{"key"'), 408)
    assert_refused(exchange(url, POST.encode() + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"), 408)


def test_a_body_beyond_the_limit_is_not_read(url: str) -> None:
    size = middleware.MAX_BODY_BYTES + 1
    assert_refused(exchange(url, POST.encode() + f"Content-Length: {size}\r\n\r\n".encode()), 413)
    expecting = exchange(url, POST.encode() + f"Expect: 100-continue\r\nContent-Length: {size}\r\n\r\n".encode())
    assert_refused(expecting, 413)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/fields HTTP/9.9\r\n\r\n",
        b"GET /v1/fields HTTP/1.1\r\nHost: a\r\nx\x00y: z\r\n\r\n",
        b"GET /v1/fields HTTP/1.1\r\nHost: a\r\n : z\r\n\r\n",
        b"GET /v1/fields HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + KEYED + b"\r\n",
        b"GET /v1/fields HTTP/1.1\r\n" + KEYED + b"\r\n",
        b"GET /v1/fields HTTP/1.1\r\nHost: a\r\n" + KEYED + b"Authorization: Bearer other\r\n\r\n",
        POST.encode() + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST.encode() + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        POST.encode() + b"Content-Length: -1\r\n\r\n",
        POST.encode() + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_clear_request_is_a_400(url: str, sent: bytes) -> None:
    answered = exchange(url, sent)
    assert answered.startswith(b"HTTP/1.1 400 "), answered[:200]
    assert b"Traceback" not in answered


def test_an_answer_is_never_told_in_the_place_of_another(url: str) -> None:
    """What comes behind a request that is being answered is not answered before it."""
    sent = POST.encode() + b"Content-Length: 2\r\n\r\n{}"
    answered = exchange(url, sent + b"nonsense\r\n\r\n")
    assert not answered.startswith(b"HTTP/1.1 400 "), answered[:300]


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"xchunked", b"identity"])
def test_a_transfer_coding_that_is_not_understood_is_a_501(url: str, coding: bytes) -> None:
    sent = POST.encode() + b"Transfer-Encoding: " + coding + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert exchange(url, sent).startswith((b"HTTP/1.1 501 ", b"HTTP/1.1 400 "))


def test_an_old_request_without_a_host_is_answered(url: str) -> None:
    assert exchange(url, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
def test_a_body_in_another_coding_is_a_415(url: str, coding: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Content-Encoding": coding}
    refused = httpx.post(f"{url}/v1/fields", content=b"{}", headers=headers)
    assert_problem(refused, 415)
    assert refused.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "sent",
    [
        POST.encode() + b"Content-Length: 100\r\n\r\n{",
        POST.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\ngrant",
    ],
)
def test_who_goes_away_in_the_middle_is_no_fault_of_the_service(
    url: str, sent: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    def faults() -> list[str]:
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        return [line for line in lines if line.startswith("seatwise_http_requests_total") and 'status="5' in line]

    before = faults()
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=3) as connection:
        connection.sendall(sent)
    deadline = time.monotonic() + 10
    while 'status="499"' not in httpx.get(f"{url}/metrics").text and time.monotonic() < deadline:
        time.sleep(0.02)
    assert 'status="499"' in httpx.get(f"{url}/metrics").text
    assert faults() == before
    shown = capsys.readouterr()
    assert "request_failed" not in shown.out + shown.err


def test_a_long_name_above_a_long_list_takes_no_room() -> None:
    value = {"k" * 100_000: [0] * 20_000}
    tracemalloc.start()
    try:
        refuse_unstorable(value)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_of_many_faults_a_few_are_told(url: str) -> None:
    """In places that are short, whatever was sent."""
    for content in (b"[" + b'"\\u0000",' * 100_000 + b"1]", b'{"%s": ["\\u0000"]}' % (b"k" * 100_000)):
        refused = send(url, content)
        assert 0 < len(assert_problem(refused, 422)["errors"]) <= MOST_TOLD
        assert len(refused.content) < 10_000


def send(url: str, content: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    return httpx.post(f"{url}/v1/fields", content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b"[" * 2_000_000, "deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"),
        (b'{"key": ' + b"[" * 61 + b"]" * 61 + b"}", "levels"),
        (b'{"key": 1e400}', "too large"),
        (b'{"key": -1e400}', "too large"),
        (b'{"key": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"key": 9223372036854775808}', "too large"),
        (b'{"key": NaN}', "not JSON"),
        (b'{"key": -Infinity}', "not JSON"),
        (b'{"key": "a", "key": "b"}', "twice"),
        (b'{"key": "a", "choices": [{"a": 1, "\\u0061": 2}]}', "twice"),
        (b'{"key": "\xff\xfe"}', "UTF-8"),
        (b'{"key": "\xed\xa0\x80"}', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'{"key": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"key": "a\\u0000b"}', "NUL"),
        (b'{"key": "a\x00b"}', "not JSON"),
        (b'{"key": "a"', "not JSON"),
        (b'{"key": "a"} {}', "not JSON"),
        (b"'key'", "not JSON"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
def test_what_is_no_plain_json_is_a_422_that_says_why(url: str, content: bytes, words: str) -> None:
    problem = assert_problem(send(url, content), 422)
    told = " ".join(error["detail"] for error in problem["errors"])
    assert words in told


@pytest.mark.parametrize("query", ["q=%00", "q=%ff", "q=%ed%a0%80", "limit=1e400", "limit=" + "9" * 5000, "cursor=%00"])
def test_parameters_that_cannot_be_used_are_no_fault_of_ours(url: str, query: str) -> None:
    answer = httpx.get(f"{url}/v1/people?{query}", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code in {200, 400, 422}


def test_a_token_request_is_small_and_unknown_clients_take_no_room(url: str) -> None:
    much = b"&".join([b"a=b"] * 30_000)
    answer = httpx.post(f"{url}/oauth/token", content=b"grant_type=client_credentials&" + much)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    for sign in "ab":
        form = {"grant_type": "client_credentials", "client_id": sign * 10_000, "client_secret": "x"}
        assert httpx.post(f"{url}/oauth/token", data=form).status_code == 401


# Without an end: a star or a plus, or a repetition with no upper number.
_ENDLESS = re.compile(r"(?<!\\)[*+]|\{\d*,\}")
_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]")


def unbounded(document: dict[str, Any], schema: dict[str, Any], place: str, seen: frozenset[str]) -> Iterator[str]:
    """Places of a schema that say nothing of how much they take."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from unbounded(document, document["components"]["schemas"][name], place, seen | {name})
        return
    members = {f"/{name}": member for name, member in schema.get("properties", {}).items()}
    inner = [("", each) for kind in ("anyOf", "oneOf", "allOf") for each in schema.get(kind, ())]
    inner += [("[]", schema.get("items")), ("/*", schema.get("additionalProperties")), *members.items()]
    for step, each in inner:
        if isinstance(each, dict):
            yield from unbounded(document, each, place + step, seen)
    if missing := _missing(schema):
        yield f"{place} has no {missing}"


def _missing(schema: dict[str, Any]) -> str | None:
    """The keyword that would say how much a schema takes; None where it says so."""
    kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    if "string" in kinds and not _string_ends(schema):
        return "maxLength"
    if "array" in kinds and "maxItems" not in schema:
        return "maxItems"
    is_open = schema.get("additionalProperties") is not False and "properties" not in schema
    return "maxProperties" if "object" in kinds and is_open and "maxProperties" not in schema else None


def _string_ends(schema: dict[str, Any]) -> bool:
    if {"maxLength", "enum", "const"} & schema.keys() or schema.get("format") in {"uuid", "date", "date-time"}:
        return True
    pattern = schema.get("pattern", "")
    return bool(re.fullmatch(r"\^.*\$", pattern)) and not _ENDLESS.search(_CLASS.sub("x", pattern))


async def test_every_text_and_list_of_a_body_has_a_largest_size(api: Api) -> None:
    document = (await api.get("/openapi.json")).json()
    found = [
        each
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for each in unbounded(document, content["schema"], f"{method} {path}", frozenset())
    ]
    assert found == []
