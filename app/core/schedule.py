"""When something with a schedule (an instance, a report) is due next, and what has become due since, from the schedule
alone.

`every` fires at a phase that comes from the instance's id, counted from the Unix epoch, so that they spread and no
fire moves with the length of a sync. `cron` has the five standard fields (0 and 7 are Sunday) in local time: each local
minute fires once, a doubled one the first time, a skipped one at the moment of the clock change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from app.core.errors import FieldError

EVERY_PATTERN = r"^[1-9][0-9]{0,4}[mhd]$"
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=31)

_EVERY = re.compile(EVERY_PATTERN)
_DAY = timedelta(days=1)
# How far back the latest fire is looked for, step by step, before all of an outage is walked through.
_LOOKS = (timedelta(hours=1), _DAY, LONGEST)
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


@dataclass(frozen=True, slots=True)
class PassedFires:
    """Fires that have come by some moment and are unanswered, in UTC. count is at least 1."""

    first: datetime
    latest: datetime
    count: int


def passed_fires(schedule: Mapping[str, Any], owner_id: UUID, due: datetime, at: datetime) -> PassedFires:
    """The fires from `due`, which is the first of them, until `at` (aware), which is not before it.

    All are counted, and years of them without effort.
    """
    following = next_fire(schedule, owner_id, due)
    if following is None or following > at:
        return PassedFires(due, due, 1)
    return PassedFires(due, latest_fire(schedule, owner_id, due, at), 1 + _count_after(schedule, owner_id, due, at))


def latest_fire(schedule: Mapping[str, Any], owner_id: UUID, due: datetime, at: datetime) -> datetime:
    """The last of the fires from `due`, which is one, until `at`; found without walking through a long outage."""
    latest = due
    for look in (*_LOOKS, at - due):
        begin = max(due, at - look)
        fire = next_fire(schedule, owner_id, begin)
        if fire is not None and fire <= at:
            break
    else:
        return latest
    while fire is not None and fire <= at:
        latest, fire = fire, next_fire(schedule, owner_id, fire)
    return latest


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


def _count_after(schedule: Mapping[str, Any], owner_id: UUID, after: datetime, until: datetime) -> int:
    """How many fires there are later than `after` and not later than `until`."""
    if "every" in schedule:
        length, phase = _turns(_period(schedule["every"]), owner_id)
        return (int(until.timestamp()) - phase) // length - (int(after.timestamp()) - phase) // length
    return _count_cron_fires(schedule["cron"], _zone(schedule.get("timezone")), after, until)


def _turns(period: timedelta, owner_id: UUID) -> tuple[int, int]:
    """Length and phase of an owner's turns, in seconds."""
    length = int(period.total_seconds())
    return length, int.from_bytes(sha256(owner_id.bytes).digest()[:8]) % length


def _next_turn(period: timedelta, owner_id: UUID, after: datetime) -> datetime:
    length, phase = _turns(period, owner_id)
    second = int(after.timestamp())
    return datetime.fromtimestamp(second + length - (second - phase) % length, UTC)


def _count_cron_fires(cron: str, zone: ZoneInfo, after: datetime, until: datetime) -> int:
    """Day by day: a day that no clock change touches has as many fires as any other on which the schedule fires at all;
    the others are walked through.
    """
    minute, hour, days = cron.split(maxsplit=2)
    local_after = _local(after, zone)
    first, last = _midnight(local_after), _midnight(_local(until, zone))
    whole_day = _fires_of_day(f"{minute} {hour} * * *", first, first - _DAY)
    in_a_day = sum(1 for _ in whole_day) if last - first > _DAY else 0
    count, latest = 0, after
    # A clock that is put back over midnight shows the day before once more, so a day more is looked at.
    for day in takewhile(lambda day: day <= last + _DAY, CronSim(f"0 0 {days}", first - timedelta(seconds=1))):
        if first < day < last and _is_untouched(day, zone):
            count += in_a_day
            continue
        for local in _fires_of_day(cron, day, local_after):
            fire = _moment(local, zone)
            if fire > until:
                return count
            if fire > latest:
                count, latest = count + 1, fire
    return count


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock of a zone shows, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _fires_of_day(cron: str, day: datetime, after: datetime) -> Iterator[datetime]:
    """Those after `after`. All are local times without a zone."""
    return takewhile(lambda local: local < day + _DAY, CronSim(cron, max(after, day - timedelta(seconds=1))))


def _is_untouched(day: datetime, zone: ZoneInfo) -> bool:
    """Whether neither the day nor the one before it, whose skipped fires it may bear, is cut or stretched."""
    return _moment(day, zone) - _moment(day - _DAY, zone) == _moment(day + _DAY, zone) - _moment(day, zone) == _DAY


def _cron_fires(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Fires in order, from about `after` on; those of one clock change may coincide.

    The walk is over local times without a zone, for each of them fires once, however often the clock shows it.
    """
    for local in CronSim(cron, _local(after, zone)):
        yield _moment(local, zone)


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """A local time as a moment: the first of two, or, where the clock skips it, the minute it goes on at."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) != local:
        local += timedelta(minutes=1)
        moment = local.replace(tzinfo=zone).astimezone(UTC)
    return moment
