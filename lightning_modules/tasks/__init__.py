"""Tell evaluation and export what is particular to a task."""
