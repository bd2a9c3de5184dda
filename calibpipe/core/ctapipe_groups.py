"""Groups of ctapipe's HDF5 format (``ctapipe.io.hdf5dataformat``), whose import takes seconds.

A test compares them with ctapipe's own.
"""

DL0_TEL_POINTING_GROUP = "/dl0/monitoring/telescope/pointing"
DL1_SUBARRAY_TRIGGER_TABLE = "/dl1/event/subarray/trigger"
DL1_TEL_MUON_GROUP = "/dl1/event/telescope/muon"
DL1_TEL_OPTICAL_PSF_GROUP = "/dl1/monitoring/telescope/optical_psf"
DL1_TEL_STAR_TRACKING_GROUP = "/dl1/monitoring/telescope/pointing/star_tracking"
_CALIBRATION = "/dl1/monitoring/telescope/calibration"
DL1_TEL_ILLUMINATOR_THROUGHPUT_GROUP = f"{_CALIBRATION}/optical_throughput/illuminator"
DL1_TEL_MUON_THROUGHPUT_GROUP = f"{_CALIBRATION}/optical_throughput/muon"
DL1_CAMERA_COEFFICIENTS_GROUP = f"{_CALIBRATION}/camera/coefficients"
DL1_PIXEL_STATISTICS_GROUP = f"{_CALIBRATION}/camera/pixel_statistics"
DL1_TEL_STAR_TRACKING_GROUP = "/dl1/monitoring/telescope/pointing/star_tracking"
DL2_SUBARRAY_INTER_CALIBRATION_GROUP = "/dl2/monitoring/subarray/inter_calibration"
DL2_SUBARRAY_CROSS_CALIBRATION_GROUP = "/dl2/monitoring/subarray/cross_calibration"
