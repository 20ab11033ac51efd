"""uses that came between the lists and the log of a sync; whose a credential is stays with the vendor

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'stray_uses',
        sa.Column('instance_id', sa.Uuid(), nullable=False),
        sa.Column('user_id', sa.Text(), nullable=False),
        sa.Column('entry_id', sa.Text(), nullable=False),
        sa.Column('day', sa.Date(), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('sync_id', sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(['instance_id'], ['instances.id'], name=op.f('fk_stray_uses_instance_id_instances'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('instance_id', 'user_id', 'entry_id', 'day', name=op.f('pk_stray_uses')),
    )
    op.execute("UPDATE credentials SET proved = proved - 'subject' WHERE proved ? 'subject'")


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
