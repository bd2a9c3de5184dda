"""Calibration of the array as a whole: telescopes against each other, from showers."""
