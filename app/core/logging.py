"""Logs: one line for each thing that happened, as JSON or readable, with every secret taken out.

What the libraries log through the standard module takes the same way.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from app.core.settings import Settings

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"secret|token|password|authorization|private_?key|api_?key|admin_?key|cookie|^key$|_keys?$", re.IGNORECASE
)
# A bearer, one of our keys or signing secrets, a JWT, the password of a URL: secrets by their looks, wherever they
# stand. And the values of rows, which PostgreSQL adds to what it refuses.
_SECRET_LOOK = re.compile(
    r"(?P<bearer>\b(?:bearer|basic|ssws)\s+)[^\s,;\"']+"
    r"|\bsw_[A-Za-z0-9_-]{16,}"
    r"|\bwhsec_[A-Za-z0-9+/=_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|(?P<url>://[^\s:/@]*:)[^\s@]+(?=@)"
    r"|(?P<row>\bDETAIL: ).*?(?=\n(?:HINT|QUERY|CONTEXT|WHERE):|\n\[|\n\n|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CHATTY = ("httpx", "httpcore", "apscheduler.executors", "alembic.runtime")


def configure(settings: Settings) -> None:
    """Set up structlog and the standard module for this process. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    _route_libraries()


def _route_libraries() -> None:
    """Let the libraries' own handlers go, so that each line is written once and our way."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "apscheduler", "pgqueuer", "alembic"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # the edge writes a line for each request itself
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendering(settings: Settings) -> list[Processor]:
    """Tracebacks become text before the redaction sees them; local variables are never shown."""
    as_json = settings.log_format == "json" or (settings.log_format is None and not sys.stderr.isatty())
    if as_json:
        return [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(ensure_ascii=False)]
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return [structlog.processors.format_exc_info, redact, _on_one_line, console]


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The last processor before rendering: takes out secrets by their name and by their looks."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _clean(str(key), member) for key, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(name, member) for member in value]
    if value is not None and not isinstance(value, bool) and _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return _SECRET_LOOK.sub(_replaced, value if isinstance(value, str) else str(value))


def has_secret(text: str) -> bool:
    """Whether something in a text is a secret by its looks."""
    return _SECRET_LOOK.search(text) is not None


def _replaced(found: re.Match[str]) -> str:
    return f"{found['bearer'] or found['url'] or found['row'] or ''}{REDACTED}"


def _on_one_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Nothing that somebody sent makes a line of its own or steers the terminal; tracebacks keep their lines."""
    return {name: value if name == "exception" else _escaped(value) for name, value in event.items()}


def _escaped(value: Any) -> Any:
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], value) if isinstance(value, str) else value
