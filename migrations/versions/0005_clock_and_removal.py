"""fires passed over while a sync ran; accounts that leave while they are removed in the background

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('instances', sa.Column('skipped_fires', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('instances', sa.Column('leaving', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.create_index('ix_instances_leaving', 'instances', ['id'], postgresql_where=sa.text('leaving'))


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
