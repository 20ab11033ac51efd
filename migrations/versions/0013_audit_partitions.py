"""the audit by month, and nothing in it is ever altered

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

# Made apart and attached, which lets others go on reading and writing; under a lock, for replicas ask at the same time.
PARTITIONS = """
CREATE FUNCTION seatwise_audit_partitions(first timestamptz, last timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(7316524907);
    WHILE month <= last AT TIME ZONE 'UTC' LOOP
        part := 'audit_events_' || to_char(month, 'YYYY_MM');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE audit_events INCLUDING DEFAULTS)', part);
            EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER kept_whole BEFORE TRUNCATE ON %I EXECUTE FUNCTION seatwise_refuse_change()', part);
        END IF;
        month := month + interval '1 month';
    END LOOP;
END $$
"""

REFUSAL = """
CREATE FUNCTION seatwise_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never altered or removed one by one' USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    op.execute(REFUSAL)
    op.execute('ALTER TABLE audit_events RENAME TO old_audit_events')
    op.execute('ALTER TABLE old_audit_events DROP CONSTRAINT pk_audit_events')
    for index in ('ix_audit_events_action_id', 'ix_audit_events_resource_id_id'):
        op.execute(f'DROP INDEX {index}')
    op.execute('CREATE TABLE audit_events (LIKE old_audit_events INCLUDING DEFAULTS) PARTITION BY RANGE (at)')
    op.execute('ALTER TABLE audit_events ADD CONSTRAINT pk_audit_events PRIMARY KEY (id, at)')
    op.execute('CREATE INDEX ix_audit_events_action_id ON audit_events (action, id)')
    op.execute('CREATE INDEX ix_audit_events_resource_id_id ON audit_events (resource_id, id)')
    op.execute('CREATE TRIGGER never_altered BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION seatwise_refuse_change()')
    op.execute(PARTITIONS)
    op.execute("SELECT seatwise_audit_partitions(least(now(), coalesce(min(at), now())), now() + interval '3 months') FROM old_audit_events")
    op.execute('INSERT INTO audit_events SELECT * FROM old_audit_events')
    op.execute('DROP TABLE old_audit_events')


def downgrade() -> None:
    """Forward only; go back by restoring a dump."""
