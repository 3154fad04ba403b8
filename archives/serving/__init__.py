"""TorchServe as a local server: its files, its start, its end, and what is known about it meanwhile."""
