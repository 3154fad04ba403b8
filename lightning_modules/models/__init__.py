"""Encoders and the Lightning modules that fine-tune them."""
