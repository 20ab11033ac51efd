"""What stands in the database as figures for Prometheus: the age of each instance's data, what waits, what failed.

Every process shows the same, so alerts take the greatest over all of them. They are looked up at most once in FRESH_S,
however often a process is scraped. Instances are named by their id: the figures are open to all who reach the service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.pool import QueuePool

from app.core.database import Database, Record

FRESH_S = 10.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Figure:
    """One gauge and the statement that fills it: columns named as the labels, and `value`."""

    name: str
    help: str
    labels: tuple[str, ...]
    sql: str


FIGURES = (
    Figure(
        "seatwise_instance_sync_age_seconds",
        "Seconds since the instance's last sync that succeeded ended, or since its launch where none did.",
        ("instance_id", "connector"),
        """
        SELECT i.id::text AS instance_id, i.connector, extract(epoch FROM now() - coalesce(
            (SELECT s.finished_at FROM syncs s WHERE s.instance_id = i.id AND s.status = 'succeeded'
                ORDER BY s.id DESC LIMIT 1), i.launched_at, i.created_at))::float8 AS value
        FROM instances i WHERE i.status = 'live'
        """,
    ),
    Figure(
        "seatwise_instances",
        "Instances by status; an inactive one tells why.",
        ("status", "reason"),
        """
        SELECT status, coalesce(inactive_reason, '') AS reason, count(*)::float8 AS value FROM instances GROUP BY 1, 2
        """,
    ),
    Figure(
        "seatwise_syncs_last_day",
        "Syncs that ended within the last 24 hours, by connector, status and code of failure.",
        ("connector", "status", "code"),
        """
        SELECT i.connector, s.status, coalesce(s.failure ->> 'code', '') AS code, count(*)::float8 AS value
        FROM syncs s JOIN instances i ON i.id = s.instance_id WHERE s.finished_at > now() - interval '1 day'
        GROUP BY 1, 2, 3
        """,
    ),
    Figure(
        "seatwise_syncs_unfinished",
        "Syncs that wait or run.",
        ("status",),
        """
        SELECT status, count(*)::float8 AS value FROM syncs WHERE status IN ('queued', 'running') GROUP BY 1
        """,
    ),
    Figure(
        "seatwise_vendor_throttled_seconds_last_day",
        "Seconds that syncs of the last 24 hours were held back by a vendor's quota.",
        ("connector",),
        """
        SELECT i.connector, sum(s.throttled_seconds)::float8 AS value
        FROM syncs s JOIN instances i ON i.id = s.instance_id WHERE s.updated_at > now() - interval '1 day' GROUP BY 1
        """,
    ),
    Figure(
        "seatwise_jobs",
        "Jobs in the queue, by what they do and whether one works on them.",
        ("job", "status"),
        """
        SELECT entrypoint AS job, status::text AS status, count(*)::float8 AS value FROM pgqueuer GROUP BY 1, 2
        """,
    ),
    Figure(
        "seatwise_jobs_oldest_seconds",
        "How long the oldest job waits that could be worked on.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(execute_after)), 0)::float8 AS value
        FROM pgqueuer WHERE status = 'queued' AND execute_after <= now()
        """,
    ),
    Figure(
        "seatwise_deliveries_pending",
        "Messages on their way to a webhook.",
        (),
        "SELECT count(*)::float8 AS value FROM deliveries WHERE status = 'pending'",
    ),
    Figure(
        "seatwise_deliveries_oldest_seconds",
        "How long the oldest message has been on its way.",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS value
        FROM deliveries WHERE status = 'pending'
        """,
    ),
    Figure(
        "seatwise_deliveries_failed_last_day",
        "Messages of the last 24 hours that were given up.",
        (),
        """
        SELECT count(*)::float8 AS value FROM deliveries
        WHERE status = 'failed' AND created_at > now() - interval '1 day'
        """,
    ),
    Figure(
        "seatwise_webhooks_disabled",
        "Webhooks that were disabled, by reason.",
        ("reason",),
        """
        SELECT coalesce(disabled_reason, '') AS reason, count(*)::float8 AS value
        FROM webhooks WHERE status = 'disabled' GROUP BY 1
        """,
    ),
    Figure(
        "seatwise_mails_pending",
        "Mails of notifications and reports that the mail server has not taken yet.",
        (),
        """
        SELECT ((SELECT count(*) FROM notification_emails WHERE status = 'pending')
            + (SELECT count(*) FROM report_emails WHERE status = 'pending'))::float8 AS value
        """,
    ),
    Figure(
        "seatwise_plans_held",
        "Plans that wait for somebody's decision.",
        (),
        "SELECT count(*)::float8 AS value FROM plans WHERE status = 'held'",
    ),
    Figure(
        "seatwise_last_tick_seconds",
        "Seconds since any process's clock last ticked.",
        (),
        "SELECT coalesce(extract(epoch FROM now() - max(at)), 1e9)::float8 AS value FROM ticks",
    ),
)


@dataclass(slots=True)
class Gauges:
    """The figures of FIGURES, and the use of this process's own pools."""

    registry: CollectorRegistry
    _gauges: dict[str, Gauge] = field(default_factory=dict)
    _pool: Gauge = field(init=False)
    _age: Gauge = field(init=False)
    _looked_at: float | None = None
    _answered_at: float = field(default_factory=time.monotonic)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        for each in FIGURES:
            self._gauges[each.name] = Gauge(each.name, each.help, each.labels, registry=self.registry)
        self._pool = Gauge(
            "seatwise_database_connections", "This process's connections.", ("pool", "state"), registry=self.registry
        )
        self._age = Gauge(
            "seatwise_figures_age_seconds",
            "Seconds since the database last answered this process what the figures from it are.",
            registry=self.registry,
        )

    async def refresh(self, database: Database) -> None:
        """Look the figures up, unless they are fresh. Without a database those of before stay, and tell their age."""
        self._count_connections(database)
        async with self._turn:
            if self._looked_at is None or time.monotonic() - self._looked_at >= FRESH_S:
                await self._look_up(database)
                self._looked_at = time.monotonic()
        self._age.set(time.monotonic() - self._answered_at)

    async def _look_up(self, database: Database) -> None:
        try:
            async with database.pool.acquire(timeout=2) as connection:
                for each in FIGURES:
                    self._show(each, await connection.fetch(each.sql, timeout=5))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            log.warning("figures_not_looked_up", error=type(error).__name__)
        else:
            self._answered_at = time.monotonic()

    def _show(self, figure: Figure, rows: Sequence[Record]) -> None:
        gauge = self._gauges[figure.name]
        if not figure.labels:
            gauge.set(rows[0]["value"])
            return
        gauge.clear()
        for row in rows:
            gauge.labels(*(row[label] for label in figure.labels)).set(row["value"])

    def _count_connections(self, database: Database) -> None:
        size, idle = database.pool.get_size(), database.pool.get_idle_size()
        self._pool.labels("books", "busy").set(size - idle)
        self._pool.labels("books", "idle").set(idle)
        self._pool.labels("books", "most").set(database.pool.get_max_size())
        pool = database.engine.pool
        if isinstance(pool, QueuePool):
            self._pool.labels("resources", "busy").set(pool.checkedout())
            self._pool.labels("resources", "idle").set(pool.checkedin())
            self._pool.labels("resources", "most").set(pool.size())
