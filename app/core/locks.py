"""Numbers of the advisory locks of PostgreSQL, each named for what is done under it alone. No two may be one, and each
stays what it is, for processes of two versions may share a database.
"""

from __future__ import annotations

from typing import Final

PEOPLE: Final = 5_620_417_338
SCHEMA: Final = 7_316_524_901
FIRST_KEY: Final = 7_316_524_902
SIGNING_KEYS: Final = 7_316_524_903
PLACES_OF_EVENTS: Final = 7_316_524_904
RECIPIENTS: Final = 7_316_524_905
CLAIMS_OF_DELIVERIES: Final = 7_316_524_906
# Taken by the function `seatwise_audit_partitions` in the database.
AUDIT_MONTHS: Final = 7_316_524_907
