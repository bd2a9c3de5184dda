"""A night with known truth."""
