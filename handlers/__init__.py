"""What runs inside a TorchServe worker: this package is packed, as it is, into every model archive."""
