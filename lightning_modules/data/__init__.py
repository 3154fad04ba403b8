"""Read, check, split, tokenize and batch the users' data."""
