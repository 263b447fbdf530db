"""Arguments to one call, and errors to one line."""
