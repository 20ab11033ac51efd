"""accounts without a seat, so that seats are counted by what is left

Revision ID: 0015
Revises: 0014
"""

from alembic import op
import sqlalchemy as sa

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_accounts_without_seat', 'accounts', ['application_id'], postgresql_where=sa.text("seat = 'none'"))


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
