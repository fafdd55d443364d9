"""Replays and discards in bulk: chosen, previewed and pinned, started, and carried out."""
