"""Two replicas tell what happens: each event has one place, each address gets one mail; and their keys are changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx

from app.core.clock import now
from app.vault import generate_key
from tests.messages.smtp import mail_sink
from tests.survival.processes import Caller, environment, replicas

OLD, NEW = generate_key(), generate_key()
ROOT = Path(__file__).parents[2]


def _credential(name: str) -> dict[str, object]:
    return {
        "name": name,
        "connector": "okta",
        "scheme": "api_token",
        "secrets": {"api_token": "00abc"},
        "expires_at": (now() + timedelta(days=2)).isoformat(),
    }


async def test_a_busy_mail_server_gets_one_mail_of_two_replicas(database_url: str, tmp_path: Path) -> None:
    async with mail_sink() as sink:
        sink.answers = {"MAIL": ["451 busy"]}
        settings = environment(database_url, tmp_path, f"{OLD},{NEW}", SEATWISE_SMTP_URL=sink.url)
        async with replicas(2, settings, tmp_path) as started, httpx.AsyncClient() as client:
            caller = Caller(started, client)
            await caller.call("PUT", "/v1/notification-recipients", json={"emails": ["ops@example.com"]})
            made = await caller.call("POST", "/v1/credentials", expect=201, json=_credential("Okta reader"))
            async with asyncio.timeout(40):
                await sink.arrived.wait()
            await asyncio.sleep(0.3)
            assert [str(mail["Subject"]) for mail in sink.received] == ["The credential Okta reader expires soon"]
            (told,) = await caller.everything("/v1/notifications")
            assert told["emails"] == [{"to": "ops@example.com", "status": "sent"}]
            connection = await asyncpg.connect(database_url)
            events = await connection.fetch("SELECT position, type, data ->> 'credential_id' AS id FROM events")
            assert [tuple(event) for event in events] == [(1, "credential.expiring", made["id"])]

            rotated = await asyncio.to_thread(_rotate, {**settings, "SEATWISE_ENCRYPTION_KEYS": f"{NEW},{OLD}"})
            assert "credentials: 1 sealed anew" in rotated
            sealed = await connection.fetchval("SELECT sealed FROM credentials")
            await connection.close()
            checked = await caller.call("POST", f"/v1/credentials/{made['id']}/check")
            assert checked["code"] == "invalid_options", "the replicas open what the new key has sealed"
            await caller.call("POST", "/v1/credentials", expect=201, json=_credential("Another"))
            assert [replica.stop() for replica in started] == [0, 0]
    assert sealed.split(".")[0] == "v1"
    again = await asyncio.to_thread(_rotate, {**settings, "SEATWISE_ENCRYPTION_KEYS": f"{NEW},{OLD}"})
    assert "credentials: 1 sealed anew, 1 had" in again
    only_new = environment(database_url, tmp_path, NEW)
    async with replicas(1, only_new, tmp_path) as started, httpx.AsyncClient() as client:
        checked = await Caller(started, client).call("POST", f"/v1/credentials/{made['id']}/check")
        assert checked["code"] == "invalid_options"


def _rotate(settings: dict[str, str]) -> str:
    command = [sys.executable, "-m", "app.cli", "vault", "rotate"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
