"""Load tests (`python -m loadtest`) and side-by-side measurements (`python -m loadtest.bench`) of served models."""
