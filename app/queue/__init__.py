"""RQ's data in Redis, moved only by atomic scripts. The transitions are in `transitions.py`."""
