"""Camera calibration: from waveforms to coefficients."""
