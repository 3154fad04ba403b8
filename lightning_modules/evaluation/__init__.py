"""Measures a trained classifier: metrics, gate, pictures and the report."""
