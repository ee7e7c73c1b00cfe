"""The device benchmark: the shipped pipeline, timed on the device that it is for."""
