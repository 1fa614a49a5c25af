"""A trace as one HTML page: what Python writes of it, and in ``app`` what shows it in a browser."""
