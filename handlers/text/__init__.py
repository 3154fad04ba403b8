"""Pure functions on texts and tokens that training and serving share."""
