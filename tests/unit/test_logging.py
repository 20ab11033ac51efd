"""What the log shows, and what it never shows."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from app.core.logging import configure, redact
from app.core.settings import Settings

KEY = "sw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


pytestmark = pytest.mark.usefixtures("logging_restored")


def settings(log_format: Any) -> Settings:
    return Settings(_env_file=None, log_format=log_format)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_secret", "hunter2"),
        ("Authorization", "Basic hunter2"),
        ("password", "hunter2"),
        ("key", "hunter2"),
        ("private_key", "hunter2"),
        ("detail", f"the key {KEY} was used"),
        ("detail", "Authorization: Bearer hunter2"),
        ("detail", "SSWS hunter2"),
        ("url", "postgresql://seatwise:hunter2@db/seatwise"),
        ("detail", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.hunter2"),
        ("detail", "whsec_hunter2hunter2hunter2hunter2"),
        ("url", "postgresql://seatwise:hunter2/hunter2@db/seatwise"),
        ("detail", "UniqueViolationError: there twice\nDETAIL:  Key (email)=(hunter2@example.com) already exists."),
        ("exception", "x\nDETAIL:  Failing row contains (1,\nhunter2).\nHINT:  none"),
        ("options", {"nested": [{"token": "hunter2"}]}),
        ("exception", f"Traceback: headers={{'authorization': 'Bearer {KEY}'}}"),
    ],
)
def test_a_secret_is_taken_out(name: str, value: object) -> None:
    shown = str(redact(None, "info", {"event": "x", name: value}))
    assert "hunter2" not in shown
    assert KEY not in shown


def test_plain_values_stay() -> None:
    event = {"event": "request", "status": 200, "path": "/v1/api-keys", "ok": True, "seconds": 1.5, "nothing": None}
    assert redact(None, "info", dict(event)) == event


def test_json_lines_carry_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings("json"))
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("seatwise").info("hello", name="Ada")
        logging.getLogger("apscheduler").warning("late by %s", 3)
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (first["event"], first["level"], first["request_id"], first["name"]) == ("hello", "info", "r-1", "Ada")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"], second["logger"]) == ("late by 3", "warning", "apscheduler")


def test_a_traceback_shows_no_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings("text"))
    try:
        password = "hunter2"
        raise RuntimeError(password[:0] + "broken")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    shown = capsys.readouterr().err
    assert "RuntimeError: broken" in shown
    assert "hunter2" not in shown


def test_what_somebody_sent_neither_steers_the_terminal_nor_makes_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings("text"))
    structlog.get_logger().info("request", path="/v1/\x1b[2J\nforged: line\x9b31m")
    logging.getLogger("uvicorn.error").warning("odd\nforged: line")
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 2
    assert not {"\x1b", "\x9b"} & set(shown)


def test_libraries_that_chat_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings("json"))
    logging.getLogger("httpx").info("HTTP Request: GET https://vendor/?token=hunter2")
    logging.getLogger("uvicorn.access").info("GET /")
    assert capsys.readouterr().err == ""
