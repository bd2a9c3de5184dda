"""Verification: numbers of a product against numbered limits, and a verdict."""
