"""${message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
# The oldest revision whose releases may work on the schema from here on (CONTRIBUTING.md).
compatible_since = "0001"


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
