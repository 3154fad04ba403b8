"""What evaluation and export have to know of a task."""
