"""Networks as ordered stages, their weights and artifacts."""
