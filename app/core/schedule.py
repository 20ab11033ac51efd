"""When something with a schedule (an instance, a report) is due next. One function answers it, from the schedule alone.

`every` fires at a phase that comes from the instance's id, counted from the Unix epoch, so that they spread and no
fire moves with the length of a sync. `cron` has the five standard fields (0 and 7 are Sunday) in local time: each local
minute fires once, a doubled one the first time, a skipped one at the moment of the clock change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from app.core.errors import FieldError

EVERY_PATTERN = r"^[1-9][0-9]{0,4}[mhd]$"
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=31)

_EVERY = re.compile(EVERY_PATTERN)
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_CRON_HELP = "Type five fields, minute hour day month weekday, such as '30 2 * * *'."


def next_fire(schedule: Mapping[str, Any] | None, owner_id: UUID, after: datetime) -> datetime | None:
    """The first fire later than `after` (aware), in UTC; None where the schedule is None: then syncs start by hand.

    The schedule is one that `schedule_errors` finds nothing wrong with.
    """
    if schedule is None:
        return None
    if "every" in schedule:
        return _next_turn(_period(schedule["every"]), owner_id, after)
    return next(fire for fire in _cron_fires(schedule["cron"], _zone(schedule.get("timezone")), after) if fire > after)


def schedule_errors(schedule: object, *, at: str = "#/schedule") -> list[FieldError]:
    """What is wrong with a schedule as it was sent."""
    if schedule is None:
        return []
    if not isinstance(schedule, Mapping) or ("every" in schedule) == ("cron" in schedule):
        return [FieldError('Type {"every": "24h"}, {"cron": "30 2 * * *", "timezone": "UTC"} or null.', pointer=at)]
    known = {"every"} if "every" in schedule else {"cron", "timezone"}
    errors = [
        FieldError(f"A schedule has no {name!r} here.", pointer=f"{at}/{name}")
        for name in schedule
        if name not in known
    ]
    problems = {name: _PROBLEMS[name](schedule[name]) for name in known & schedule.keys()}
    return errors + [FieldError(text, pointer=f"{at}/{name}") for name, text in sorted(problems.items()) if text]


def _every_problem(every: object) -> str | None:
    if isinstance(every, str) and _EVERY.fullmatch(every) and SHORTEST <= _period(every) <= LONGEST:
        return None
    return "Type a number and m, h or d, from 1m to 31d, such as 24h."


def _cron_problem(cron: object) -> str | None:
    if not isinstance(cron, str) or len(cron.split()) != 5:
        return _CRON_HELP
    try:
        fires = CronSim(cron, datetime(2024, 1, 1))  # noqa: DTZ001  # local time without a zone
    except CronSimError as error:
        return f"{error}. {_CRON_HELP}"
    return None if next(fires, None) else "No date ever matches; check the day and the month."


_ZONE_HELP = "Type the IANA name of a time zone, such as Europe/Berlin."


def _timezone_problem(timezone: object) -> str | None:
    if timezone is None:
        return None
    try:
        ZoneInfo(timezone if isinstance(timezone, str) else "")
    except (KeyError, ValueError, OSError):
        return _ZONE_HELP
    # A file that systems keep beside the zones: it means another zone on each host.
    return _ZONE_HELP if timezone == "localtime" else None


_PROBLEMS = {"every": _every_problem, "cron": _cron_problem, "timezone": _timezone_problem}


def _period(every: str) -> timedelta:
    return timedelta(seconds=int(every[:-1]) * _UNITS[every[-1]])


def _zone(name: str | None) -> ZoneInfo:
    return ZoneInfo(name or "UTC")


def _next_turn(period: timedelta, owner_id: UUID, after: datetime) -> datetime:
    length = int(period.total_seconds())
    phase = int.from_bytes(sha256(owner_id.bytes).digest()[:8]) % length
    second = int(after.timestamp())
    return datetime.fromtimestamp(second + length - (second - phase) % length, UTC)


def _cron_fires(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Fires in order, from about `after` on; those of one clock change may coincide.

    The walk is over local times without a zone, for each of them fires once, however often the clock shows it.
    """
    for local in CronSim(cron, after.astimezone(zone).replace(tzinfo=None)):
        yield _moment(local, zone)


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """A local time as a moment: the first of two, or, where the clock skips it, the minute it goes on at."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) != local:
        local += timedelta(minutes=1)
        moment = local.replace(tzinfo=zone).astimezone(UTC)
    return moment
