"""licences

Revision ID: 0009
Revises: 0008
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('contracts',
    sa.Column('application_id', sa.Uuid(), nullable=False),
    sa.Column('seats', sa.Integer(), nullable=False),
    sa.Column('price_per_seat', sa.Numeric(precision=16, scale=4), nullable=False),
    sa.Column('currency', sa.Text(), nullable=False),
    sa.Column('term', sa.Text(), nullable=False),
    sa.Column('starts_on', sa.Date(), nullable=False),
    sa.Column('renews_on', sa.Date(), nullable=True),
    sa.Column('grace_days', sa.Integer(), server_default=sa.text('30'), nullable=False),
    sa.Column('created_by', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('seats >= 0', name=op.f('ck_contracts_seats')),
    sa.CheckConstraint('price_per_seat >= 0', name=op.f('ck_contracts_price_per_seat')),
    sa.CheckConstraint("term IN ('monthly', 'annual')", name=op.f('ck_contracts_term')),
    sa.CheckConstraint('renews_on > starts_on', name=op.f('ck_contracts_renews_on')),
    sa.CheckConstraint('grace_days BETWEEN 0 AND 3650', name=op.f('ck_contracts_grace_days')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_contracts_application_id_applications'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contracts')),
    sa.UniqueConstraint('application_id', 'starts_on', name=op.f('uq_contracts_application_id_starts_on'))
    )
    op.create_table('licence_exemptions',
    sa.Column('account_id', sa.Uuid(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('until', sa.Date(), nullable=True),
    sa.Column('created_by', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_licence_exemptions_account_id_accounts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_licence_exemptions')),
    sa.UniqueConstraint('account_id', name=op.f('uq_licence_exemptions_account_id'))
    )


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
