"""Command-line Tools: read, call a method, write a product."""
