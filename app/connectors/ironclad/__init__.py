"""Ironclad Clickwrap: the users of all accounts that the token's owner can see, with their roles on the sites.

Signers, the people who accept contracts, are no users of the product and are never read.
"""

from app.connectors.ironclad.connector import IroncladClickwrap as IroncladClickwrap
from app.connectors.ironclad.faults import read_fault as read_fault
from app.connectors.ironclad.manifest import MANIFEST as MANIFEST
