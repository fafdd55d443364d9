"""Notifies the team's own system. A subscriber imports its types from here.

from app.notifications import Permanent, ReferenceChanged, Retry
"""

from app.domain.errors import Permanent, Retry
from app.notifications.message import ReferenceChanged

__all__ = ["Permanent", "ReferenceChanged", "Retry"]
