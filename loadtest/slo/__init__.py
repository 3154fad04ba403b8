"""Searches the highest rate at which a served model keeps its p99 within a limit (`python -m loadtest.slo`)."""
