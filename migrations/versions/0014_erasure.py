"""erasure: who was taken out of the tables, and which runs of reports that changed

Revision ID: 0014
Revises: 0013
"""

from alembic import op
import sqlalchemy as sa

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('erasures',
    sa.Column('person_id', sa.Uuid(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('person_id', name=op.f('pk_erasures'))
    )
    op.create_index('ix_erasures_unfinished', 'erasures', ['asked_at'], postgresql_where=sa.text('finished_at IS NULL'))
    op.add_column('report_runs', sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
