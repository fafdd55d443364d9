"""Traces (OpenTelemetry) and reports of bugs (Sentry): extras, which are off unless asked for."""
