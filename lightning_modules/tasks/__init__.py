"""Provide evaluation and export with the parts that differ from task to task."""
