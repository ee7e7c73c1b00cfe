"""Everybody in a picture at once: samples and accuracy of bottom-up networks."""
