"""Where a source's environment comes from, in order."""

from __future__ import annotations

from app.certifications.environments import environment_of_source, mismatch


def test_what_was_said_comes_before_the_tenant_and_the_tenant_before_the_name() -> None:
    assert environment_of_source("staging", "production", "Ledgerly dev") == "staging"
    assert environment_of_source(None, "production", "Ledgerly dev") == "production"
    assert environment_of_source(None, None, "Ledgerly dev") == "development"
    assert environment_of_source(None, None, "Ledgerly Production (test of staging)") == "production"
    assert environment_of_source(None, None, "Contest Devices of the Stagecoach") is None


def test_the_unknown_fits_all() -> None:
    assert mismatch("production", "staging")
    assert not mismatch("production", "production")
    assert not mismatch(None, "staging")
    assert not mismatch("staging", None)
