"""Side-by-side figures of a served model: this bundle's server, a plain one, and what the machine could do at most."""
