"""Train a small classifier, the student, on the logits of a larger one, its teacher."""
