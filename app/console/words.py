"""Syncs in plain words."""

from __future__ import annotations

from app.console.states import Failure, Stream, Sync, Waiting

_STREAMS = {"users": "users", "applications": "applications", "assignments": "seats", "activity": "sign-ons"}


def stream_name(stream: str) -> str:
    return _STREAMS.get(stream, stream)


def count_words(stream: Stream) -> str:
    """How far a stream has come: `400 of 1,000`, or `400` where nobody knows how many there are."""
    if stream.expected is not None and not stream.done:
        return f"{stream.fetched:,} of {stream.expected:,}"
    return f"{stream.fetched:,}"


def begun(stream: Stream) -> bool:
    return stream.fetched > 0 or stream.expected is not None


def waiting_words(waiting: Waiting) -> str:
    if waiting.reason == "told":
        return f"waiting {waiting.seconds:.0f} s: the vendor said so"
    return "pacing: part of the vendor's quota is left to others"


def cost_words(sync: Sync) -> str:
    """Calls sent to the vendor, and for how long they were held back, if at all: the sum over calls side by side."""
    words = f"{sync.vendor_calls:,} vendor call{'' if sync.vendor_calls == 1 else 's'}"
    if sync.throttled_seconds >= 0.1:
        words += f", held back {sync.throttled_seconds:.1f} s"
    return words


def end_words(sync: Sync) -> str:
    seconds = sync.seconds
    took = "" if seconds is None else f" after {seconds:.1f} s"
    return f"{sync.status}{took} ({cost_words(sync)})"


def failure_words(failure: Failure) -> str:
    """Where it broke, why, what the vendor answered, and whether to try again."""
    where = f"While reading {stream_name(failure.stream)}: " if failure.stream else ""
    facts = [failure.request or ""]
    if failure.vendor_status is not None:
        facts.append(f"answered {failure.vendor_status}")
    if failure.vendor_code is not None:
        facts.append(f"code {failure.vendor_code}")
    told = ", ".join(fact for fact in facts if fact)
    advice = "It may pass: sync again later." if failure.retryable else "It will not pass by itself."
    return f"{where}{failure.detail}{f' [{told}]' if told else ''} {advice}"
