"""The troubles of docs/how-to/alerts.md, made on a running deployment."""
