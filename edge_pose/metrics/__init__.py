"""Accuracy and latency figures."""
