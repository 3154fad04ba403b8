"""A trained model as files that need no training framework: ONNX, INT8, and how they compare."""
