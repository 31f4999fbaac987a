"""Runs that can be taken over, and one leader among several daemons."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add who holds a run, and the leader's lease."""
    op.add_column("run", sa.Column("holder", WORD, nullable=True))
    op.add_column("run", sa.Column("lease_until", sa.BigInteger(), nullable=True))
    op.add_column(
        "run", sa.Column("fence", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    op.create_table(
        "leader",
        sa.Column("name", WORD, nullable=False),
        sa.Column("holder", WORD, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("name", name="pk_leader"),
    )
