"""What a good team has after some weeks: FastAPI, Celery, and one transaction for each event."""
