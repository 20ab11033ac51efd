"""What a sync writes into the books: seats, people, days."""

from __future__ import annotations

from datetime import timedelta

from app.connectors.contract import Check, Rejected, Use
from app.core.clock import today
from tests.sync.conftest import OpenWorld
from tests.sync.world import World, application, days_ago, user

ADA, ALAN, GRACE = user("ada"), user("alan"), user("grace")


async def test_everybody_listed_has_a_seat_in_the_integrated_application(world: World) -> None:
    sync = await world.sync(users=[ADA, user("gone", active=False), ALAN])
    assert sync.status == "succeeded", sync.failure
    assert await world.accounts() == {
        "ada": ("assigned", "active"), "alan": ("assigned", "active"), "gone": ("assigned", "inactive"),
    }  # fmt: skip
    assert sync.counters["people"]["created"] == 3
    assert sync.counters["accounts"]["created"] == 3


async def test_a_sync_of_nothing_new_changes_nothing(world: World) -> None:
    told = {
        "users": [ADA, ALAN, GRACE],
        "applications": [application("ledger"), application("mail", access="groups", groups=("g",))],
        "seats": {"ledger": ["ada", "alan"], "g": ["grace"]},
        "uses": [Use("ledger", "ada", days_ago(1)), Use("mail", "alan", days_ago(2))],
    }
    await world.sync(**told)
    again = await world.sync(**told)
    assert await world.changes(again) == []
    for kind in ("people", "applications", "accounts"):
        counts = again.counters[kind]
        assert {name: n for name, n in counts.items() if n} == {"read": counts["read"], "unchanged": counts["read"]}


async def test_pages_that_are_written_together_count_as_if_each_came_alone(world: World) -> None:
    """Vendors of pages of two, quicker than the database: several pages of several applications at a time."""
    crowd = [user(f"u{n}") for n in range(40)]
    ids = [each.vendor_id for each in crowd]
    applications = [application(name) for name in ("ledger", "mail", "wiki")]
    seats = {"ledger": ids, "mail": ids[:20], "wiki": [*ids[10:30], "stranger"]}
    first = await world.sync(users=crowd, applications=applications, seats=seats)
    assert first.status == "succeeded", first.failure
    assert await world.active("ledger") == set(ids)
    assert await world.active("mail") == set(ids[:20])
    assert await world.active("wiki") == set(ids[10:30])
    assert first.progress["assignments"]["fetched"] == 81
    counts = first.counters["accounts"]
    assert (counts["read"], counts["created"], counts["rejected"], counts["unchanged"]) == (121, 120, 1, 0)
    created = await world.fetch("SELECT count(*) AS n FROM history WHERE sync_id = $1 AND kind = 'accounts'", first.id)
    assert created[0]["n"] == 120

    await world.sync(seats={**seats, "mail": []})
    renamed = [user(f"u{n}", name="Renamed" if n < 5 else f"U{n}") for n in range(40)]
    later = await world.sync(users=renamed, seats={**seats, "ledger": ids[:39]})
    assert await world.active("mail") == set(ids[:20])
    counts = later.counters["accounts"]
    assert (counts["created"], counts["reactivated"], counts["deactivated"]) == (0, 20, 1)
    # Five at the vendor itself, in the ledger, and in mail, where they had no seat until then.
    assert counts["updated"] == 15


async def test_who_is_listed_on_two_pages_is_one_person_as_listed_last(world: World) -> None:
    early, late = user("twice", name="Early"), user("twice", name="Late")
    sync = await world.sync(users=[ADA, early, ALAN, GRACE, late, user("last")])
    assert set(await world.accounts()) == {"ada", "twice", "alan", "grace", "last"}
    rows = await world.fetch(
        "SELECT p.name, a.name AS account FROM people p JOIN accounts a ON a.person_id = p.id"
        " WHERE a.instance_id = $1 AND a.vendor_id = 'twice'",
        world.instance_id,
    )
    assert [tuple(row.values()) for row in rows] == [("Late", "Late")]
    assert sync.counters["people"]["read"] == 6
    assert (sync.counters["accounts"]["read"], sync.counters["accounts"]["created"]) == (6, 5)


async def test_groups_any_and_all_become_seats(world: World) -> None:
    await world.sync(
        users=[ADA, ALAN, GRACE],
        applications=[
            application("any", access="groups", groups=("g1", "g2")),
            application("all", access="groups", groups=("g1", "g2"), groups_match="all"),
        ],
        seats={"g1": ["ada", "alan"], "g2": ["alan", "grace"]},
    )
    assert await world.active("any") == {"ada", "alan", "grace"}
    assert await world.accounts("all") == {"alan": ("entitled", "active")}
    assert sorted(a for a in world.vendor.asked if a.startswith("assignments")) == [
        "assignments/g1 0",
        "assignments/g2 0",
    ]


async def test_open_and_admin_applications_have_seats_for_those_seen_only(world: World) -> None:
    await world.sync(
        users=[ADA, ALAN, GRACE],
        applications=[application("portal", access="open"), application("console", access="admins")],
        uses=[Use("portal", "ada", days_ago(3)), Use("console", "alan", days_ago(3))],
    )
    assert await world.accounts("portal") == {"ada": ("entitled", "active")}
    assert await world.accounts("console") == {"alan": ("unknown", "active")}


async def test_use_without_a_seat_is_kept_and_counts_in_no_seats(world: World) -> None:
    await world.sync(
        users=[ADA, user("left", active=False)],
        applications=[application("ledger")],
        seats={"ledger": ["ada"]},
        uses=[Use("ledger", "left", days_ago(10)), Use("ledger", "left", days_ago(10, hour=3))],
    )
    assert (await world.accounts("ledger"))["left"] == ("none", "inactive")
    assert await world.days("ledger", "left") == [today() - timedelta(days=10)]


async def test_use_by_a_stranger_is_an_error_once_and_of_an_unlisted_application_is_left_out(world: World) -> None:
    sync = await world.sync(
        users=[ADA],
        applications=[application("ledger")],
        uses=[
            Use("ledger", "nobody", days_ago(4)),
            Use("ledger", "nobody", days_ago(5)),
            Use("elsewhere", "ada", days_ago(4)),
        ],
        page_size=1,
    )
    errors = await world.fetch("SELECT stream, vendor_id, code FROM sync_errors WHERE sync_id = $1", sync.id)
    assert [tuple(e.values()) for e in errors] == [("activity", "nobody", "unknown_user")]
    assert sync.counters["activity"]["rejected"] == 2
    assert sync.counters["activity"]["filtered"] == 1


async def test_a_rejected_record_is_listed_and_fails_nothing(world: World) -> None:
    sync = await world.sync(users=[ADA], rejected=[Rejected("u9", "no_identity", "neither e-mail nor username")])
    assert sync.status == "succeeded"
    assert sync.counters["people"]["rejected"] == 1
    errors = await world.fetch("SELECT vendor_id, code FROM sync_errors WHERE sync_id = $1", sync.id)
    assert [tuple(e.values()) for e in errors] == [("u9", "no_identity")]


async def test_two_instances_share_a_person_by_email_and_do_not_quarrel_about_its_name(opening: OpenWorld) -> None:
    first, second = await opening(), await opening()
    await first.sync(users=[user("s1", email="Sam@Example.com ", name="Sam One")])
    await second.sync(users=[user("s2", email="sam@example.com", name="Samuel Two")])
    rows = await first.fetch("SELECT id, name FROM people WHERE email = 'sam@example.com'")
    assert [row["name"] for row in rows] == ["Sam One"]
    assert await first.changes(await first.sync()) == []
    assert await second.changes(await second.sync()) == []


async def test_a_new_address_moves_the_person_along(world: World) -> None:
    await world.sync(users=[user("mary", email="mary@old.example")])
    before = await world.fetch("SELECT id FROM people WHERE email = 'mary@old.example'")
    await world.sync(users=[user("mary", email="mary@new.example")])
    after = await world.fetch("SELECT id FROM people WHERE email = 'mary@new.example'")
    assert [row["id"] for row in before] == [row["id"] for row in after]


async def test_a_person_whose_source_has_left_bears_the_next_sources_name(opening: OpenWorld) -> None:
    first, second = await opening(), await opening()
    await first.sync(users=[user("k1", email="kim@example.com", name="Kim One"), user("other")])
    await second.sync(users=[user("k2", email="kim@example.com", name="Kim Two")])
    left = await first.sync(users=[user("other")])
    assert ("people", "Kim Two", "updated") in await first.changes(left)
    rows = await first.fetch("SELECT name FROM people WHERE email = 'kim@example.com'")
    assert [row["name"] for row in rows] == ["Kim Two"]
    assert await second.changes(await second.sync()) == []


async def test_people_without_email_are_one_each(world: World) -> None:
    await world.sync(users=[user("p1", email=None), user("p2", email=None)])
    assert await world.people() == {"P1": "active", "P2": "active"}


async def test_late_events_and_overlap_count_once(world: World) -> None:
    use = Use("ledger", "ada", days_ago(2))
    told = {"users": [ADA], "applications": [application("ledger")], "seats": {"ledger": ["ada"]}}
    await world.sync(**told, uses=[use])
    again = await world.sync(uses=[use, use, Use("ledger", "ada", days_ago(1))])
    assert world.vendor.asked[-2] == "activity after 1"
    assert again.counters["activity"]["created"] == 1
    assert len(await world.days("ledger", "ada")) == 2


async def test_coverage_after_a_first_sync_is_the_lookback(opening: OpenWorld) -> None:
    world = await opening(lookback_days=30)
    await world.sync(users=[ADA], applications=[application("ledger")])
    covered = await world.covered()
    assert (covered[0], covered[-1], len(covered)) == (today() - timedelta(days=29), today(), 30)


async def test_settings_changed_in_the_middle_leave_no_coverage_of_the_old_ones(world: World) -> None:
    async def change(stream: str, page: int) -> None:
        if stream == "activity":
            await world.configure(lookback_days=10)

    world.vendor.before_page = change
    await world.sync(users=[ADA], applications=[application("ledger")], uses=[Use("ledger", "ada", days_ago(2))])
    assert await world.covered() == []
    world.vendor.before_page = None
    await world.sync()
    assert len(await world.covered()) == 10


async def test_display_name_detection_joins_the_entries_of_one_definition(opening: OpenWorld) -> None:
    world = await opening(detection="display_name")
    await world.sync(
        users=[ADA, ALAN],
        applications=[application("a1", definition="desk", name="Desk IT"), application("a2", definition="desk")],
        seats={"a1": ["ada"], "a2": ["ada", "alan"]},
        page_size=1,
    )
    rows = await world.fetch(
        "SELECT id, name FROM applications WHERE instance_id = $1 AND kind = 'detected'", world.instance_id
    )
    assert len(rows) == 1
    seats = await world.fetch("SELECT vendor_id FROM accounts WHERE application_id = $1", rows[0]["id"])
    assert {row["vendor_id"] for row in seats} == {"ada", "alan"}


async def test_scope_users_fills_people_only(opening: OpenWorld) -> None:
    world = await opening(scope="users")
    await world.sync(users=[ADA, ALAN], applications=[application("ledger")])
    assert await world.people() == {"ada@example.com": "active", "alan@example.com": "active"}
    assert await world.accounts() == {}
    assert not any(asked.startswith("applications") for asked in world.vendor.asked)


async def test_filtered_users_are_counted_and_their_seats_left_out(opening: OpenWorld) -> None:
    world = await opening(filters=[{"field": "status", "op": "eq", "value": "ACTIVE"}])
    sync = await world.sync(
        users=[ADA, user("idle", active=False)], applications=[application("ledger")], seats={"ledger": ["ada", "idle"]}
    )
    assert set(await world.accounts()) == {"ada"}
    assert set(await world.accounts("ledger")) == {"ada"}
    assert (sync.counters["people"]["filtered"], sync.counters["accounts"]["filtered"]) == (1, 1)
    assert sync.counters["people"]["rejected"] == 0


async def test_create_only_leaves_the_known_as_they_are(opening: OpenWorld) -> None:
    world = await opening(preference="create_only")
    await world.sync(users=[ADA])
    await world.sync(users=[user("ada", name="Another"), ALAN])
    rows = await world.fetch("SELECT name FROM accounts WHERE instance_id = $1 ORDER BY name", world.instance_id)
    assert [row["name"] for row in rows] == ["Ada", "Alan"]


async def test_update_only_adds_nobody(opening: OpenWorld) -> None:
    world = await opening(preference="update_only")
    sync = await world.sync(users=[user("stranger", email="stranger@nowhere.example")])
    assert await world.people() == {}
    assert sync.counters["people"]["filtered"] == 1


async def test_a_first_sync_notes_whose_the_credential_is(world: World) -> None:
    await world.sync(users=[ADA], check=Check(ok=True, tenant="acme", subject="s", granted=("Reader",)))
    await world.sync()
    credential_id = (await world.instance()).credential_id
    rows = await world.fetch("SELECT proved FROM credentials WHERE id = $1", credential_id)
    assert rows[0]["proved"] == {"tenant": "acme", "granted": ["Reader"]}
    assert world.vendor.asked.count("check") == 1
