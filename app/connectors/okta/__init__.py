"""Okta: users of every status, applications, assignments, and sign-ons from the System Log."""

from app.connectors.okta.connector import Okta as Okta
from app.connectors.okta.faults import read_fault as read_fault
from app.connectors.okta.manifest import MANIFEST as MANIFEST
