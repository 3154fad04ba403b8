"""What a load test leaves: a page with pictures, and the figures as JSON and CSV."""
