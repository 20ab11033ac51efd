"""room in the accounts' pages, so that each day's last use is written in place

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE accounts SET (fillfactor = 85)')


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
