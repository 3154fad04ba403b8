"""The highest rate at which a served model keeps its answers within a bound (`python -m loadtest.slo`)."""
