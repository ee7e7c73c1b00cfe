"""Image classifiers: views and accuracy."""
