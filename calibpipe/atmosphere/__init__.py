"""Methods of atmospheric calibration: pure functions on arrays and quantities."""
