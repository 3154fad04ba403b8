"""A student trained on its teacher's answers."""
