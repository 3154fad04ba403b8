"""Pure functions on payloads, tokens, scores and files; training and serving share them."""
