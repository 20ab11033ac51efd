"""accounts of an instance in the order of their creation, so that its newest need no walk over all others

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f('ix_accounts_instance_id_id'), 'accounts', ['instance_id', 'id'])


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
