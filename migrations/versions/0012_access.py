"""access: keys that only hand in records, and how often each key is used

Revision ID: 0012
Revises: 0010
"""

from alembic import op
import sqlalchemy as sa

revision = '0012'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('api_keys', sa.Column('instance_id', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_api_keys_instance_id_instances'), 'api_keys', 'instances', ['instance_id'], ['id'], ondelete='CASCADE')
    op.create_index(op.f('ix_api_keys_instance_id'), 'api_keys', ['instance_id'])
    op.drop_constraint(op.f('ck_api_keys_role'), 'api_keys')
    op.create_check_constraint(op.f('ck_api_keys_role'), 'api_keys', "role IN ('ingest', 'viewer', 'operator', 'admin')")
    op.create_check_constraint(op.f('ck_api_keys_ingest'), 'api_keys', "(role = 'ingest') = (instance_id IS NOT NULL)")
    op.create_table('key_uses',
    sa.Column('key_id', sa.Uuid(), nullable=False),
    sa.Column('minute', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('uses', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('key_id', 'minute', name=op.f('pk_key_uses')),
    prefixes=['UNLOGGED']
    )


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
