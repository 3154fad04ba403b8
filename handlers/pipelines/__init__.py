"""The three steps of each task: encode texts to rows of token ids, run the model, decode its logits to answers."""
