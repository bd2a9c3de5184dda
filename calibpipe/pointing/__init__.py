"""Stars on the sky and in the camera, pointing and optical point spread function."""
