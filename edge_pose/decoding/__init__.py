"""Decoders: network output to keypoints in input px."""
