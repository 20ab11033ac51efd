"""SailPoint Identity Security Cloud: the sources that reviews are about, and the accounts these list.

It brings nobody into the books; it tells which of its sources is which application, and who is who in it.
"""

from app.connectors.sailpoint.connector import SailPoint as SailPoint
from app.connectors.sailpoint.faults import read_fault as read_fault
from app.connectors.sailpoint.manifest import MANIFEST as MANIFEST
from app.connectors.sailpoint.records import Source as Source
from app.connectors.sailpoint.records import SourceAccount as SourceAccount
