"""Use cases of the dead-letter queue: select, preview, replay, discard."""
