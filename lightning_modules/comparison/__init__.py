"""Compare finished models side by side on the same rows."""
