"""fields catalogue detection

Revision ID: 0004
Revises: 0003
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.models.well_known import WELL_KNOWN

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('fields',
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('choices', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("kind IN ('account', 'person')", name=op.f('ck_fields_kind')),
    sa.CheckConstraint("type IN ('text', 'number', 'boolean', 'date', 'datetime', 'choice')", name=op.f('ck_fields_type')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fields')),
    sa.UniqueConstraint('kind', 'key', name=op.f('uq_fields_kind_key'))
    )
    op.create_table('entry_users',
    sa.Column('instance_id', sa.Uuid(), nullable=False),
    sa.Column('entry_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['instance_id', 'entry_id'], ['application_entries.instance_id', 'application_entries.vendor_id'], name=op.f('fk_entry_users_instance_id_application_entries'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('instance_id', 'entry_id', 'user_id', name=op.f('pk_entry_users'))
    )
    op.create_table('entry_years',
    sa.Column('instance_id', sa.Uuid(), nullable=False),
    sa.Column('entry_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('year', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('days', postgresql.BIT(length=366), nullable=False),
    sa.ForeignKeyConstraint(['instance_id', 'entry_id'], ['application_entries.instance_id', 'application_entries.vendor_id'], name=op.f('fk_entry_years_instance_id_application_entries'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('instance_id', 'entry_id', 'user_id', 'year', name=op.f('pk_entry_years'))
    )
    for name in ('domains', 'definitions'):
        op.add_column('catalog', sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False))
    for name in ('named', 'catalog_chosen'):
        op.add_column('applications', sa.Column(name, sa.Boolean(), server_default=sa.text('false'), nullable=False))
    # An entry that somebody chose before it was noted so.
    op.execute('UPDATE applications SET catalog_chosen = true WHERE catalog_id IS NOT NULL')
    op.add_column('application_entries', sa.Column('placed', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    for name in ('bypass_kind', 'domain'):
        op.add_column('application_entries', sa.Column(name, sa.Text(), nullable=True))
    op.add_column('accounts', sa.Column('bypass_evidence', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_index('ix_accounts_bypass', 'accounts', ['id'], unique=False, postgresql_where=sa.text('bypass_evidence IS NOT NULL'))
    op.add_column('history', sa.Column('joined_from', sa.Uuid(), nullable=True))
    catalog = sa.table('catalog', *(sa.column(name) for name in ('key', 'name', 'vendor', 'category')),
        *(sa.column(name, postgresql.ARRAY(sa.Text())) for name in ('domains', 'definitions')))
    rows = [dict(zip(catalog.columns.keys(), entry, strict=True)) for entry in WELL_KNOWN]
    op.execute(postgresql.insert(catalog).values(rows).on_conflict_do_nothing())


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
