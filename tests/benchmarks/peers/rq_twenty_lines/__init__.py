"""What a team has after an hour: Starlette, RQ and one upsert."""
