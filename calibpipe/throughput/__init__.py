"""Optical throughput of a telescope."""
