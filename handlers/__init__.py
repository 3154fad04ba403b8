"""Run inside a TorchServe worker: packed into every model archive, with the entry of its task at the root."""
