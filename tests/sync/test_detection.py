"""The catalogue's ties, and what may bypass the sign-on provider."""

from __future__ import annotations

from typing import Any

from app.connectors.contract import Use
from tests.sync.conftest import OpenWorld
from tests.sync.world import World, application, days_ago, user

ADA, ALAN, GRACE = user("ada"), user("alan"), user("grace")


async def catalog_keys(world: World) -> dict[str, str | None]:
    rows = await world.fetch(
        "SELECT p.name, c.key FROM applications p LEFT JOIN catalog c ON c.id = p.catalog_id WHERE p.instance_id = $1",
        world.instance_id,
    )
    return {row["name"]: row["key"] for row in rows}


async def evidence(world: World) -> dict[str, list[str]]:
    """Kinds of evidence by user."""
    rows = await world.fetch(
        "SELECT vendor_id, bypass_evidence FROM accounts WHERE instance_id = $1 AND bypass_evidence IS NOT NULL",
        world.instance_id,
    )
    return {row["vendor_id"]: [each["kind"] for each in row["bypass_evidence"]] for row in rows}


async def direct(opening: OpenWorld, key: str) -> World:
    """A direct integration of the catalogue's application `key`."""
    world = await opening()
    await world.sync(users=[])
    await world.fetch(
        "UPDATE applications SET catalog_chosen = true, catalog_id = (SELECT id FROM catalog WHERE key = $2)"
        " WHERE instance_id = $1",
        world.instance_id,
        key,
    )
    return world


async def test_applications_are_tied_by_definition_name_and_domain(world: World) -> None:
    told: dict[str, Any] = {
        "users": [ADA],
        "applications": [
            application("a", name="Our CRM", definition="salesforce"),
            application("b", name="Zoom (Production)"),
            application("c", name="Acme tickets", domain="acme.zendesk.com"),
            application("d", name="Ledgerly"),
        ],
    }
    sync = await world.sync(**told)
    assert sync.status == "succeeded", sync.failure
    assert await catalog_keys(world) == {
        "Okta": "okta", "Our CRM": "salesforce", "Zoom (Production)": "zoom", "Acme tickets": "zendesk",
        "Ledgerly": None,
    }  # fmt: skip
    assert await world.changes(await world.sync()) == []


async def test_a_persons_choice_of_the_catalogue_stays(world: World) -> None:
    await world.sync(users=[ADA], applications=[application("b", name="Zoom")])
    await world.fetch(
        "UPDATE applications SET catalog_id = NULL, catalog_chosen = true WHERE instance_id = $1", world.instance_id
    )
    await world.sync()
    assert set((await catalog_keys(world)).values()) == {None}


async def test_display_name_detection_names_by_the_catalogue_else_by_the_definition(opening: OpenWorld) -> None:
    world = await opening(detection="display_name")
    entries = [
        application("a1", name="CRM east", definition="salesforce"),
        application("b1", name="Desk", definition="acme_desk_1"),
        application("a2", name="CRM west", definition="salesforce"),
        application("p", name="Portal", definition="p"),
    ]
    await world.sync(users=[ADA], applications=entries, page_size=1)
    assert set(await catalog_keys(world)) == {"Okta", "Salesforce", "acme_desk_1", "Portal"}
    assert await world.changes(await world.sync()) == []


async def test_an_account_that_no_provider_manages_is_marked(opening: OpenWorld) -> None:
    crm = await direct(opening, "salesforce")
    sso = await opening(detect_unmanaged=True)
    await crm.sync(users=[ADA, ALAN])
    assert await evidence(crm) == {}
    await sso.sync(users=[ADA, ALAN], applications=[application("sf", definition="salesforce")], seats={"sf": ["ada"]})
    assert await evidence(crm) == {"alan": ["not_managed"]}
    await sso.sync(seats={"sf": ["ada", "alan"]})
    assert await evidence(crm) == {}
    await crm.sync(users=[ADA, ALAN, GRACE])
    assert await evidence(crm) == {"grace": ["not_managed"]}
    await sso.configure(detect_unmanaged=False)
    await sso.sync()
    assert await evidence(crm) == {}


async def test_use_on_an_observed_day_without_a_sign_on_is_marked(opening: OpenWorld) -> None:
    crm = await direct(opening, "zendesk")
    sso = await opening(detect_unmanaged=True, lookback_days=30)
    await sso.sync(
        users=[ADA, ALAN],
        applications=[application("zd", definition="zendesk")],
        seats={"zd": ["ada", "alan"]},
        uses=[Use("zd", "ada", days_ago(3)), Use("zd", "alan", days_ago(3))],
    )
    await crm.sync(
        users=[ADA, ALAN],
        applications=[application("own", name="Unheard of")],
        seats={"own": ["ada", "alan"]},
    )
    # The direct integration's own use stands on its integrated application.
    await crm.fetch(
        """
        INSERT INTO activity_years (application_id, account_id, year, last_day, days)
        SELECT a.application_id, a.id, y.year, y.last_day,
            CASE WHEN a.vendor_id = 'ada' THEN y.days ELSE y.days >> 1 END
        FROM accounts a JOIN applications p ON p.id = a.application_id AND p.kind = 'integrated'
        CROSS JOIN (SELECT DISTINCT year, last_day, days FROM activity_years) y WHERE a.instance_id = $1
        """,
        crm.instance_id,
    )
    sync = await crm.sync()
    assert sync.status == "succeeded", sync.failure
    assert await evidence(crm) == {"alan": ["used_without_sign_on"]}


async def test_an_application_that_fills_in_passwords_is_marked(opening: OpenWorld) -> None:
    sso = await opening(detect_unmanaged=True)
    entries = [application("swa", bypass_kind="BROWSER_PLUGIN"), application("saml")]
    await sso.sync(users=[ADA], applications=entries, seats={"swa": ["ada"], "saml": ["ada"]})
    rows = await sso.fetch(
        """
        SELECT p.vendor_id, a.bypass_evidence -> 0 ->> 'detail' AS detail FROM accounts a
        JOIN applications p ON p.id = a.application_id
        WHERE a.instance_id = $1 AND a.bypass_evidence IS NOT NULL
        """,
        sso.instance_id,
    )
    assert [(row["vendor_id"], "BROWSER_PLUGIN" in row["detail"]) for row in rows] == [("swa", True)]
    assert await sso.changes(await sso.sync()) == []
