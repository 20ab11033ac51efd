"""plans

Revision ID: 0003
Revises: 0002
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('plans',
    sa.Column('instance_id', sa.Uuid(), nullable=False),
    sa.Column('sync_id', sa.Uuid(), nullable=True),
    sa.Column('status', sa.Text(), server_default='planning', nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('digest', sa.Text(), nullable=True),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('failure', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('created_by', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('settings', sa.Text(), nullable=True),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('based_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seen_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('gone_entries', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('fence', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('worker', sa.Uuid(), nullable=True),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('planning', 'ready', 'held', 'applied', 'superseded', 'discarded', 'failed')", name=op.f('ck_plans_status')),
    sa.CheckConstraint("reason IN ('limit', 'zero_rows')", name=op.f('ck_plans_reason')),
    sa.ForeignKeyConstraint(['instance_id'], ['instances.id'], name=op.f('fk_plans_instance_id_instances'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plans'))
    )
    op.create_index('uq_plans_one_planning', 'plans', ['instance_id'], unique=True, postgresql_where=sa.text("status = 'planning'"))
    op.create_index(op.f('ix_plans_instance_id_id'), 'plans', ['instance_id', 'id'])
    op.create_index('ix_plans_sync_id', 'plans', ['sync_id'], postgresql_where=sa.text('sync_id IS NOT NULL'))
    op.create_table('plan_pages',
    sa.Column('plan_id', sa.Uuid(), nullable=False),
    sa.Column('stream', sa.Text(), nullable=False),
    sa.Column('scope_id', sa.Text(), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('cursor', sa.Text(), nullable=True),
    sa.Column('last', sa.Boolean(), nullable=False),
    sa.Column('payload', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['plan_id'], ['plans.id'], name=op.f('fk_plan_pages_plan_id_plans'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('plan_id', 'stream', 'scope_id', 'number', name=op.f('pk_plan_pages'))
    )
    op.create_table('plan_changes',
    sa.Column('plan_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('object_id', sa.Uuid(), nullable=True),
    sa.Column('vendor_id', sa.Text(), nullable=True),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=True),
    sa.Column('application', sa.Text(), nullable=True),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('history_id', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['plan_id'], ['plans.id'], name=op.f('fk_plan_changes_plan_id_plans'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('plan_id', 'number', name=op.f('pk_plan_changes'))
    )
    op.add_column('syncs', sa.Column('held_plan_id', sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
