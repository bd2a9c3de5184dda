"""Calibration pipeline for arrays of imaging atmospheric Cherenkov telescopes."""

__version__ = "0.1.0"
