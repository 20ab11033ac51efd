"""Who is taken from the books, and who is not: absence is believed only after a complete read, and only so far."""

from __future__ import annotations

from app.connectors.contract import Check
from app.core.errors import CredentialRefused, InsufficientPermissions, UnexpectedAnswer, VendorBusy
from tests.sync.conftest import OpenWorld
from tests.sync.world import World, application, refused, user

ADA, ALAN, GRACE = user("ada"), user("alan"), user("grace")
CROWD = [user(f"u{n:02}") for n in range(20)]


async def test_an_account_is_deactivated_only_after_a_complete_run(world: World) -> None:
    await world.sync(users=[ADA, ALAN])
    failed = await world.sync(users=[ADA], page_size=1, fail={("users", 0): VendorBusy("wait")})
    assert failed.status == "failed"
    assert await world.active() == {"ada", "alan"}
    done = await world.sync(users=[ADA])
    assert await world.accounts() == {"ada": ("assigned", "active"), "alan": ("none", "inactive")}
    assert ("accounts", "Alan", "deactivated") in await world.changes(done)
    assert (await world.people())["alan@example.com"] == "inactive"


async def test_who_comes_back_is_active_again(world: World) -> None:
    told = {"applications": [application("ledger")], "seats": {"ledger": ["ada", "alan"]}}
    await world.sync(users=[ADA, ALAN], **told)
    await world.sync(users=[ADA])
    back = await world.sync(users=[ADA, ALAN])
    assert await world.active() == await world.active("ledger") == {"ada", "alan"}
    assert back.counters["accounts"]["reactivated"] == 2
    assert (await world.people())["alan@example.com"] == "active"


async def test_a_seat_taken_away_becomes_none(world: World) -> None:
    await world.sync(users=[ADA, ALAN], applications=[application("ledger")], seats={"ledger": ["ada", "alan"]})
    await world.sync(seats={"ledger": ["ada"]})
    assert (await world.accounts("ledger"))["alan"] == ("none", "inactive")
    assert await world.active() == {"ada", "alan"}


async def test_a_suspended_user_keeps_the_seat_and_loses_the_status(world: World) -> None:
    told = {"applications": [application("ledger")], "seats": {"ledger": ["ada", "alan"]}}
    await world.sync(users=[ADA, ALAN], **told)
    await world.sync(users=[ADA, user("alan", active=False)])
    assert (await world.accounts("ledger"))["alan"] == ("assigned", "inactive")


async def test_an_application_no_longer_listed_keeps_its_history_without_seats(world: World) -> None:
    await world.sync(users=[ADA], applications=[application("ledger"), application("mail")], seats={"ledger": ["ada"]})
    await world.sync(applications=[application("mail")])
    assert await world.accounts("ledger") == {"ada": ("none", "inactive")}
    rows = await world.fetch(
        "SELECT status FROM applications WHERE instance_id = $1 AND vendor_id = 'ledger'", world.instance_id
    )
    assert rows[0]["status"] == "inactive"


async def test_more_than_the_limit_is_held_and_the_rest_applied(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=CROWD)
    held = await world.sync(users=[*CROWD[:10], user("new")])
    assert held.status == "succeeded"
    assert held.counters["accounts"]["held"] == 10
    assert len(await world.active()) == 21
    few = await world.sync(users=[*CROWD[2:], user("new")])
    assert few.counters["accounts"]["deactivated"] == 2


async def test_up_to_three_leavers_are_never_held_unless_nobody_is_left(opening: OpenWorld) -> None:
    world = await opening(deactivation_limit_percent=20)
    await world.sync(users=[ADA, ALAN, GRACE])
    await world.sync(users=[ADA])
    assert await world.active() == {"ada"}
    held = await world.sync(users=[user("other")])
    assert held.counters["accounts"]["deactivated"] == 1
    nobody = await world.sync(users=[])
    assert nobody.status == "succeeded"
    assert await world.active() == {"other"}


async def test_nobody_at_all_without_permission_is_a_failure_that_says_what_is_missing(world: World) -> None:
    await world.sync(users=[ADA])
    powerless = Check(
        ok=False, tenant="t", subject="s", missing=("Read-only Administrator",), code="insufficient_permissions"
    )
    failed = await world.sync(users=[], check=powerless)
    assert failed.status == "failed"
    assert failed.failure is not None
    assert failed.failure["code"] == "insufficient_permissions"
    assert "Read-only Administrator" in failed.failure["detail"]
    assert await world.active() == {"ada"}
    instance = await world.instance()
    assert (instance.status, instance.inactive_reason) == ("inactive", "insufficient_permissions")
    assert instance.stale_since is not None


async def test_absence_scans_asks_for_more_than_one_complete_read(opening: OpenWorld) -> None:
    world = await opening(absence_scans=2)
    await world.sync(users=[ADA, ALAN])
    await world.sync(users=[ADA])
    assert await world.active() == {"ada", "alan"}
    await world.sync(users=[ADA, ALAN])
    await world.sync(users=[ADA])
    assert await world.active() == {"ada", "alan"}
    await world.sync(users=[ADA])
    assert await world.active() == {"ada"}


async def test_without_deactivate_nobody_is_taken(opening: OpenWorld) -> None:
    world = await opening(deactivate=False)
    await world.sync(users=[ADA, ALAN])
    await world.sync(users=[user("ada", active=False)])
    assert await world.active() == {"ada", "alan"}


async def test_a_refused_credential_inactivates_and_a_passing_fault_does_not(world: World) -> None:
    passing = await world.sync(users=[ADA], fail={("users", 0): UnexpectedAnswer("cut off")})
    assert (passing.status, (await world.instance()).status) == ("failed", "live")
    assert passing.failure is not None
    assert passing.failure["retryable"] is True
    broken = await world.sync(users=[ADA], fail={("users", 0): refused(CredentialRefused)})
    assert broken.failure == {
        "code": "credential_refused",
        "detail": "The vendor no longer accepts the credential: revoked, expired or inactive. The vendor said no.",
        "retryable": False,
        "stream": "users",
        "request": "GET /api/v1/users",
        "vendor_status": 401,
        "vendor_code": "E0000011",
    }
    instance = await world.instance()
    assert (instance.status, instance.inactive_reason) == ("inactive", "token_revoked")


async def test_a_permission_lost_in_the_middle_takes_nobody(world: World) -> None:
    await world.sync(users=[ADA, ALAN], applications=[application("ledger")], seats={"ledger": ["ada"]})
    lost = await world.sync(users=[ADA], fail={("applications", 0): refused(InsufficientPermissions)})
    assert lost.failure is not None
    assert lost.failure["stream"] == "applications"
    assert await world.active() == {"ada", "alan"}
