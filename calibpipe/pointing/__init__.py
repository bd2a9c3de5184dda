"""Pointing: where a telescope looks."""
