"""Follow a training: checkpoints, history, progress, seeds and the size of its batches."""
