"""What turns the chapters of the book into tests."""
