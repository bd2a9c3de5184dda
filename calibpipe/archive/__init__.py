"""The calibration archive: products, validity and history in a Butler repository."""
