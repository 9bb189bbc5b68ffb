"""The watches, by family."""
