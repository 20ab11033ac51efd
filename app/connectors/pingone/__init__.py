"""PingOne: users, applications, who may use them by group, and sign-ons of the last 14 days."""

from app.connectors.pingone.connector import PingOne as PingOne
from app.connectors.pingone.faults import read_fault as read_fault
from app.connectors.pingone.manifest import MANIFEST as MANIFEST
