"""The wrong PyTorches of the book, by family."""
