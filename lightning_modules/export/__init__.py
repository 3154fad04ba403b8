"""Export a trained model as files that need no training framework, and compare them with torch."""
