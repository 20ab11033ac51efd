"""events and notifications

Revision ID: 0002
Revises: 0001
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('events',
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=True),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_events')),
    sa.UniqueConstraint('position', name=op.f('uq_events_position'))
    )
    op.create_index(op.f('ix_events_at'), 'events', ['at'])
    op.create_index('ix_events_unnumbered', 'events', ['id'], postgresql_where=sa.text('position IS NULL'))
    op.create_table('notification_recipients',
    sa.Column('place', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('place', name=op.f('pk_notification_recipients')),
    sa.UniqueConstraint('email', name=op.f('uq_notification_recipients_email'))
    )
    op.create_table('notifications',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('instance_id', sa.Uuid(), nullable=True),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notifications')),
    sa.UniqueConstraint('key', name=op.f('uq_notifications_key'))
    )
    op.create_index(op.f('ix_notifications_instance_id_id'), 'notifications', ['instance_id', 'id'])
    op.create_index(op.f('ix_notifications_kind_id'), 'notifications', ['kind', 'id'])
    op.create_table('notification_emails',
    sa.Column('notification_id', sa.Uuid(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), server_default='pending', nullable=False),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('next_attempt_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("status IN ('pending', 'sent', 'failed', 'recorded')", name=op.f('ck_notification_emails_status')),
    sa.ForeignKeyConstraint(['notification_id'], ['notifications.id'], name=op.f('fk_notification_emails_notification_id_notifications'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification_emails')),
    sa.UniqueConstraint('message_id', name=op.f('uq_notification_emails_message_id')),
    sa.UniqueConstraint('notification_id', 'address', name=op.f('uq_notification_emails_notification_id_address'))
    )
    op.create_index('ix_notification_emails_due', 'notification_emails', ['next_attempt_at'], postgresql_where=sa.text("status = 'pending'"))


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
