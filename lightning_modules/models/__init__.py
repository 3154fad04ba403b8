"""Define what is trained: encoders, networks on them, and the Lightning modules that train them."""
