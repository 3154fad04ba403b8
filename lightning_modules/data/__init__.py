"""What users bring: read, checked, split, tokenised, batched."""
