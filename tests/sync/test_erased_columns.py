"""Every column that may name somebody: a person who stands in all of them stands in none of them once erased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.ids import new_id
from app.erasure.tables import LAST_SWEEPS, SWEEPS
from tests.sync.conftest import OpenWorld
from tests.sync.test_erased_people import OTHERS, TRACES, ada, erase, is_erased, mentions, person_of
from tests.sync.world import World, application

SAID, CLEAN = "Ask Ada Lovelace.", "Ask [erased]."
NOTED, CLEARED = {"manager": "ada@example.com"}, {"manager": "[erased]"}
OWN: dict[str, Any] = {
    "name": "Ada Lovelace", "email": "ada@example.com", "username": "adalogin", "given_name": "Ada",
    "family_name": "Lovelace", "metadata": NOTED, "fields": NOTED, "person_username": "adalogin",
    "person_fields": NOTED, "anchor": "Ada Lovelace",
}  # fmt: skip
EMPTIED: dict[str, Any] = dict.fromkeys(OWN) | {
    "name": "Erased person", "metadata": {}, "fields": {}, "person_fields": {},
}  # fmt: skip
OF_SEATS = ("name", "email", "username", "metadata", "fields")
OF_USERS = (*OF_SEATS, "person_username", "given_name", "family_name", "person_fields")
OF_IMAGES = (*OF_SEATS, "given_name", "family_name", "anchor", "person_fields")
OF_PEOPLE = ("name", "email", "username", "given_name", "family_name", "fields", "anchor")
FILTER = {"field": "email", "op": "eq", "value": "ada@example.com"}
NAMELESS = {**FILTER, "value": "[erased]"}
# By an id alone, under a name that the books never had.
TOLD = {"name": "A. L.", "email": "al@example.net", "username": "al"}
UNTOLD = {"name": "Erased person", "email": None, "username": None}

Row = tuple[str, str, dict[str, Any], dict[str, Any]]
"""A table, the condition of one row of it, what is written into that row, and what stands there afterwards."""


def rows(person: UUID, seat: UUID) -> list[Row]:
    hers, graces = f"= '{person}'", "email = 'grace@example.com'"
    image, cleared = {"name": "Grace", "metadata": NOTED}, {"name": "Grace", "metadata": CLEARED}
    entries = {"people": [{"person_id": str(person), **TOLD}], "accounts": [{"account_id": str(seat), **TOLD}]}
    untold = {
        "people": [{"person_id": str(person), **UNTOLD}], "accounts": [{"account_id": str(seat), **UNTOLD}],
    }  # fmt: skip
    before, after = _only(OWN, OF_IMAGES), _only(EMPTIED, OF_IMAGES)
    failure, mended = {"code": "x", "detail": SAID}, {"code": "x", "detail": CLEAN}
    source = {"native_identity": "al", "name": "A. L.", "mail": "al@example.net"}

    def empty(vendor_id: str) -> dict[str, Any]:
        return {"native_identity": f"erased/{vendor_id}", "name": None, "mail": None}

    return [
        ("people", f"id {hers}", _only(OWN, OF_PEOPLE), _only(EMPTIED, OF_PEOPLE) | {"anchor": f"erased/{person}"}),
        ("vendor_users", f"person_id {hers}", _only(OWN, OF_USERS), _only(EMPTIED, OF_USERS)),
        ("accounts", f"id = '{seat}'", _only(OWN, OF_SEATS), _only(EMPTIED, OF_SEATS)),
        ("history", f"object_id {hers}", {"name": "Ada", "before": before, "after": before},
            {"name": "Erased person", "before": after, "after": after}),
        ("licence_exemptions", f"account_id = '{seat}'", {"reason": "ill"}, {"reason": "[erased]"}),
        ("people", graces, {"fields": NOTED}, {"fields": CLEARED}),
        ("vendor_users", graces, dict.fromkeys(("metadata", "fields", "person_fields"), NOTED),
            dict.fromkeys(("metadata", "fields", "person_fields"), CLEARED)),
        ("accounts", graces, {"metadata": NOTED, "fields": NOTED, "bypass_evidence": [NOTED]},
            {"metadata": CLEARED, "fields": CLEARED, "bypass_evidence": [CLEARED]}),
        ("history", "name ~ 'Grace' AND kind = 'people'", {"before": image, "after": image},
            {"before": cleared, "after": cleared}),
        ("plan_changes", "number = 1", {"object_id": person, "name": "A. L.", "email": "al@example.net",
            "before": TOLD, "after": TOLD | {"metadata": {"nick": "al"}}},
            {"object_id": person, "name": "Erased person", "email": None, "before": UNTOLD,
                "after": UNTOLD | {"metadata": {}}}),
        ("plan_changes", "number = 2", {"name": "A. L.", "email": "ADA@example.com", "after": TOLD},
            {"name": "Erased person", "email": None, "after": UNTOLD}),
        ("plan_changes", "number = 3", {"name": "Grace", "before": image, "after": image},
            {"name": "Grace", "before": cleared, "after": cleared}),
        ("isc_accounts", "vendor_id = 's1'", source | {"account_id": seat}, empty("s1") | {"account_id": seat}),
        ("isc_accounts", "vendor_id = 's2'", source | {"native_identity": "ADALOGIN"}, empty("s2")),
        ("isc_accounts", "vendor_id = 's3'", source | {"name": "Ada Lovelace"}, empty("s3")),
        ("isc_accounts", "vendor_id = 's4'", source | {"mail": "ada@example.com"}, empty("s4")),
        ("isc_accounts", "vendor_id = 's5'", source, source),
        ("licence_exemptions", f"account_id <> '{seat}'", {"reason": SAID}, {"reason": CLEAN}),
        ("events", "type = 'sync.failed'", {"data": entries | {"reason": SAID, "detail": SAID}},
            {"data": untold | {"reason": CLEAN, "detail": CLEAN}}),
        ("deliveries", "true", {"attempts": [{"answer_excerpt": SAID}]}, {"attempts": [{"answer_excerpt": CLEAN}]}),
        ("reports", "true", {"filters": [FILTER]}, {"filters": [NAMELESS]}),
        ("report_runs", "true", {"definition": {"filters": [FILTER]}}, {"definition": {"filters": [NAMELESS]}}),
        ("sync_errors", "true", {"detail": SAID}, {"detail": CLEAN}),
        ("syncs", "true", {"failure": failure}, {"failure": mended}),
        ("plans", "true", {"failure": failure}, {"failure": mended}),
        ("source_mappings", "true", {"failure": failure}, {"failure": mended}),
        ("instances", "true", {"inactive_detail": SAID}, {"inactive_detail": CLEAN}),
        ("notifications", "true", {"subject": SAID, "text": SAID, "html": f"<p>{SAID}</p>"},
            {"subject": CLEAN, "text": CLEAN, "html": f"<p>{CLEAN}</p>"}),
    ]  # fmt: skip


def _only(members: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: members[name] for name in names}


def written() -> set[tuple[str, str]]:
    """Table and column of everything that names her."""
    return {
        (table, column)
        for table, _, planted, left in rows(UUID(int=1), UUID(int=2))
        for column in planted
        if planted[column] != left[column] or column.endswith("_id")
    }


def _made(instance: UUID, wiki: UUID, new: UUID) -> str:
    """A row of each table that the sync did not write."""
    return f"""
        INSERT INTO licence_exemptions (id, account_id, reason, created_by)
            SELECT gen_random_uuid(), id, '', '{{}}' FROM accounts WHERE application_id = '{wiki}';
        INSERT INTO plans (id, instance_id, status) VALUES ('{new}', '{instance}', 'failed');
        INSERT INTO plan_changes (plan_id, number, kind, action, name)
            SELECT '{new}', number, 'people', 'created', '' FROM generate_series(1, 3) number;
        INSERT INTO source_mappings (id, tenant_id, source_id, source_name, application_id, instance_id, created_by)
            SELECT '{new}', credential_id, 's', 'Wiki', '{wiki}', id, '{{}}' FROM instances;
        INSERT INTO isc_accounts (mapping_id, vendor_id, native_identity, seen_at)
            SELECT '{new}', 's' || number, '', now() FROM generate_series(1, 5) number;
        INSERT INTO events (id, type, data) VALUES ('{new}', 'sync.failed', '{{}}');
        INSERT INTO webhooks
            (id, name, url, auth, sealed, sealed_signing, max_message_bytes, link_ttl_seconds, max_concurrency)
            VALUES ('{new}', '', '', '{{}}', '', '', 2048, 60, 1);
        INSERT INTO deliveries (id, webhook_id, message_id, event) VALUES ('{new}', '{new}', '{new}', 'sync.failed');
        INSERT INTO reports (id, name, dataset, columns, "window")
            VALUES ('{new}', '', 'people', '{{name}}', '"30d"');
        INSERT INTO report_runs (id, report_id, status, trigger, definition)
            VALUES ('{new}', '{new}', 'failed', 'manual', '{{}}');
        INSERT INTO sync_errors (sync_id, stream, code, detail) SELECT id, 'users', '', '' FROM syncs;
        INSERT INTO notifications (id, key, kind, subject, text, html)
            VALUES ('{new}', '', 'plan_held', '', '', '');
    """


async def _fill(world: World) -> list[Row]:
    """A person and a colleague with a seat each, and every row of `rows` as it is before."""
    wiki = [application("wiki")]
    await world.sync(users=[ada(), *OTHERS[:1]], applications=wiki, seats={"wiki": ["00u1", "00u2"]})
    ((seat, wiki_id),) = await world.fetch(
        "SELECT a.id, a.application_id FROM accounts a JOIN applications p ON p.id = a.application_id"
        " WHERE p.vendor_id = 'wiki' AND a.vendor_id = '00u1'"
    )
    await world.runtime.database.pool.execute(_made(world.instance_id, wiki_id, new_id()))
    made = rows(await person_of(world), seat)
    for table, where, planted, _ in made:
        places = ", ".join(f"{column} = ${place}" for place, column in enumerate(planted, start=1))
        changed = await world.fetch(f"UPDATE {table} SET {places} WHERE {where} RETURNING 1", *planted.values())
        assert changed, f"{table} WHERE {where}"
    return made


async def test_a_person_leaves_every_column_that_may_name_them(opening: OpenWorld) -> None:
    world = await opening()
    made = await _fill(world)
    person = await person_of(world)
    assert {table for table, _ in written()} <= await mentions(world, *TRACES)
    assert await erase(world, person) is None
    assert await is_erased(world, person)
    for table, where, _, left in made:
        found = [dict(row) for row in await world.fetch(f"SELECT {', '.join(left)} FROM {table} WHERE {where}")]
        assert found == [left] * max(1, len(found)), f"{table} WHERE {where}"
    assert await mentions(world, *TRACES) == set()


def test_every_column_that_is_swept_was_written() -> None:
    swept = {(sweep.table, column) for sweep in (*SWEEPS, *LAST_SWEEPS) for column in sweep.columns}
    assert swept <= written()
