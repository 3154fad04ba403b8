"""Measure a trained model and report it: metrics, errors, pictures and pages."""
