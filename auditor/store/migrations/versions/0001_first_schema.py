"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "collection",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=True),
        sa.Column("source", WORD, nullable=False),
        sa.Column("provider", WORD, nullable=False),
        sa.Column("unit", WORD, nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("status", WORD, nullable=False),
        sa.Column("reason", WORD, nullable=True),
        sa.Column("error", WORD, nullable=True),
        sa.Column("notes", WORD, nullable=True),
        sa.Column("organization_id", WORD, nullable=True),
        sa.Column("organization_name", WORD, nullable=True),
        sa.Column("credentials", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("data_as_of", sa.BigInteger(), nullable=True),
        sa.Column("observed_at", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("is_keyframe", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("uses", sa.LargeBinary(), nullable=True),
        sa.Column("as_of", sa.LargeBinary(), nullable=True),
        sa.Column("seen", sa.LargeBinary(), nullable=True),
        sa.Column("owner", WORD, nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("attempts", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("run_id", "source", "unit", "part", name="uq_collection_run_id"),
        sa.UniqueConstraint("seq", name="uq_collection_seq"),
    )
    op.create_index("ix_collection_run_id", "collection", ["run_id"])
    op.create_index("ix_collection_scope", "collection", ["scope_id", "seq"])
    op.create_table(
        "credential",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("uid", WORD, nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credential"),
        sa.UniqueConstraint("uid", name="uq_credential_uid"),
    )
    op.create_table(
        "finding",
        sa.Column("number", KEY, autoincrement=True, nullable=False),
        sa.Column("id", WORD, nullable=False),
        sa.Column("policy_id", WORD, nullable=False),
        sa.Column("credential_id", sa.BigInteger(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("risk_score", sa.SmallInteger(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_finding"),
        sa.UniqueConstraint("id", name="uq_finding_id"),
    )
    op.create_index("ix_finding_credential_id", "finding", ["credential_id"])
    op.create_index("ix_finding_status", "finding", ["status", "risk_score"])
    op.create_table(
        "finding_event",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("finding", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_finding_event"),
    )
    op.create_index("ix_finding_event_finding", "finding_event", ["finding", "id"])
    op.create_table(
        "occurrence",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("schedule", WORD, nullable=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", WORD, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_occurrence"),
        sa.UniqueConstraint("schedule", "key", name="uq_occurrence_schedule"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("recipient", WORD, nullable=False),
        sa.Column("message_id", WORD, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", WORD, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("message_id", name="uq_outbox_message_id"),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_attempt_at"])
    op.create_index("ix_outbox_run_id", "outbox", ["run_id"])
    op.create_table(
        "permission_set",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_permission_set"),
        sa.UniqueConstraint("digest", name="uq_permission_set_digest"),
    )
    op.create_table(
        "presence",
        sa.Column("credential_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("use_code", sa.SmallInteger(), nullable=False),
        sa.Column("use_at", sa.BigInteger(), nullable=True),
        sa.Column("use_window", sa.BigInteger(), nullable=True),
        sa.Column("raw_digest", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("credential_id", "scope_id", "since", name="pk_presence"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_presence_open",
        "presence",
        ["scope_id", "credential_id"],
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "raw",
        sa.Column("credential_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "scope_id", name="pk_raw"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("now", sa.BigInteger(), nullable=False),
        sa.Column("is_as_of", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("status", WORD, nullable=False),
        sa.Column("schedule", WORD, nullable=True),
        sa.Column("occurrence", WORD, nullable=True),
        sa.Column("context", sa.LargeBinary(), nullable=True),
        sa.Column("summary", sa.LargeBinary(), nullable=True),
        sa.Column("sources", sa.LargeBinary(), nullable=True),
        sa.Column("watermark", sa.BigInteger(), nullable=True),
        sa.Column("judged", sa.BigInteger(), nullable=True),
        sa.Column("event_mark", sa.BigInteger(), nullable=True),
        sa.Column("observed", sa.LargeBinary(), nullable=True),
        sa.Column("is_pruned", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.UniqueConstraint("schedule", "occurrence", name="uq_run_schedule"),
    )
    op.create_table(
        "scope",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.Column("provider", WORD, nullable=False),
        sa.Column("organization_id", WORD, nullable=False),
        sa.Column("organization_name", WORD, nullable=False),
        sa.Column("unit", WORD, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scope"),
        sa.UniqueConstraint("source", "provider", "organization_id", name="uq_scope_source"),
    )
    op.create_table(
        "version",
        sa.Column("credential_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("permissions_id", sa.BigInteger(), nullable=True),
        sa.Column("unused_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("credential_id", "scope_id", "since", name="pk_version"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE collection_seq")
