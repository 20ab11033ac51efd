"""what a person takes from a vendor user is kept with the user, so that another source can take over at once

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ('person_username', 'given_name', 'family_name'):
        op.add_column('vendor_users', sa.Column(name, sa.Text(), nullable=True))
    op.add_column(
        'vendor_users',
        sa.Column('person_fields', postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    )
    # Room on each page for the latest use to be updated in place, without touching the indexes.
    op.execute('ALTER TABLE accounts SET (fillfactor = 80)')


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
