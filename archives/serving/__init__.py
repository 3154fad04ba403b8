"""Run TorchServe as a local server: configure it, start it, watch it and stop it."""
