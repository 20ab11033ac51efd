"""webhooks

Revision ID: 0007
Revises: 0006
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('webhooks',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('events', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('format', sa.Text(), server_default='standard', nullable=False),
    sa.Column('auth', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('sealed_signing', sa.Text(), nullable=False),
    sa.Column('token_expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('status', sa.Text(), server_default='enabled', nullable=False),
    sa.Column('disabled_reason', sa.Text(), nullable=True),
    sa.Column('failing_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('max_message_bytes', sa.Integer(), nullable=False),
    sa.Column('delivery', sa.Text(), server_default='pages', nullable=False),
    sa.Column('link_ttl_seconds', sa.Integer(), nullable=False),
    sa.Column('max_concurrency', sa.Integer(), nullable=False),
    sa.Column('created_by', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("delivery IN ('pages', 'link')", name=op.f('ck_webhooks_delivery')),
    sa.CheckConstraint("disabled_reason IN ('gone', 'failing', 'user')", name=op.f('ck_webhooks_disabled_reason')),
    sa.CheckConstraint("format IN ('standard', 'sailpoint_workflow')", name=op.f('ck_webhooks_format')),
    sa.CheckConstraint("status IN ('enabled', 'disabled')", name=op.f('ck_webhooks_status')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhooks'))
    )
    op.create_table('deliveries',
    sa.Column('webhook_id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('event', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Uuid(), nullable=True),
    sa.Column('run_id', sa.Uuid(), nullable=True),
    sa.Column('series', sa.Uuid(), nullable=True),
    sa.Column('page', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('pages', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('first_row', sa.Integer(), nullable=True),
    sa.Column('rows', sa.Integer(), nullable=True),
    sa.Column('link_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('status', sa.Text(), server_default='pending', nullable=False),
    sa.Column('attempts', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False),
    sa.Column('tries', sa.SmallInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=True),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('workflow_execution_id', sa.Text(), nullable=True),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name=op.f('ck_deliveries_status')),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhooks.id'], name=op.f('fk_deliveries_webhook_id_webhooks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries'))
    )
    op.create_index(op.f('ix_deliveries_created_at'), 'deliveries', ['created_at'], unique=False)
    op.create_index('ix_deliveries_due', 'deliveries', ['webhook_id', 'next_attempt_at'], unique=False, postgresql_where=sa.text("status = 'pending'"))
    op.create_index('ix_deliveries_leased', 'deliveries', ['webhook_id'], unique=False, postgresql_where=sa.text("status = 'pending' AND leased_until IS NOT NULL"))
    op.create_index('ix_deliveries_run_id', 'deliveries', ['run_id', 'webhook_id'], unique=False, postgresql_where=sa.text('run_id IS NOT NULL'))
    op.create_index('ix_deliveries_series', 'deliveries', ['webhook_id', 'series', 'page'], unique=False, postgresql_where=sa.text('series IS NOT NULL'))
    op.create_index(op.f('ix_deliveries_webhook_id_id'), 'deliveries', ['webhook_id', 'id'], unique=False)
    op.create_table('webhook_tokens',
    sa.Column('webhook_id', sa.Uuid(), nullable=False),
    sa.Column('audience', sa.Text(), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['webhook_id'], ['webhooks.id'], name=op.f('fk_webhook_tokens_webhook_id_webhooks'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('webhook_id', 'audience', name=op.f('pk_webhook_tokens'))
    )
    # ### end Alembic commands ###


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
