"""certifications

Revision ID: 0010
Revises: 0009
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('source_mappings',
    sa.Column('tenant_id', sa.Uuid(), nullable=False),
    sa.Column('source_id', sa.Text(), nullable=False),
    sa.Column('source_name', sa.Text(), nullable=False),
    sa.Column('source_type', sa.Text(), nullable=True),
    sa.Column('source_environment', sa.Text(), nullable=True),
    sa.Column('allow_environment_mismatch', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('application_id', sa.Uuid(), nullable=False),
    sa.Column('instance_id', sa.Uuid(), nullable=False),
    sa.Column('accounts_read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('accounts_tried_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('accounts_matched_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failure', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('created_by', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('id', sa.Uuid(), server_default=sa.text('seatwise_uuid7()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("source_environment IN ('production', 'staging', 'development')", name=op.f('ck_source_mappings_source_environment')),
    sa.ForeignKeyConstraint(['application_id'], ['applications.id'], name=op.f('fk_source_mappings_application_id_applications'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['instance_id'], ['instances.id'], name=op.f('fk_source_mappings_instance_id_instances'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['tenant_id'], ['credentials.id'], name=op.f('fk_source_mappings_tenant_id_credentials')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_source_mappings')),
    sa.UniqueConstraint('tenant_id', 'source_id', 'application_id', name=op.f('uq_source_mappings_tenant_id_source_id_application_id'))
    )
    op.create_index(op.f('ix_source_mappings_application_id'), 'source_mappings', ['application_id'], unique=False)
    op.create_index(op.f('ix_source_mappings_instance_id'), 'source_mappings', ['instance_id'], unique=False)
    op.create_index(op.f('ix_source_mappings_source_id'), 'source_mappings', ['source_id'], unique=False)
    op.create_table('isc_accounts',
    sa.Column('mapping_id', sa.Uuid(), nullable=False),
    sa.Column('vendor_id', sa.Text(), nullable=False),
    sa.Column('native_identity', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('mail', sa.Text(), nullable=True),
    sa.Column('account_id', sa.Uuid(), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['mapping_id'], ['source_mappings.id'], name=op.f('fk_isc_accounts_mapping_id_source_mappings'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('mapping_id', 'vendor_id', name=op.f('pk_isc_accounts'))
    )
    op.create_index('ix_isc_accounts_account_id', 'isc_accounts', ['account_id'], unique=False, postgresql_where=sa.text('account_id IS NOT NULL'))
    op.create_index('ix_isc_accounts_mail', 'isc_accounts', ['mapping_id', sa.text('lower(mail) COLLATE "C"')], unique=False)
    op.create_index('ix_isc_accounts_native_identity', 'isc_accounts', ['mapping_id', sa.text('lower(native_identity) COLLATE "C"')], unique=False)


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
