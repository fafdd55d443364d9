"""The processes that work: event workers, effects workers and the clock."""
