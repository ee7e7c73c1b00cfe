"""Centre-point person detection: views, targets, detectors, boxes of a teacher, accuracy."""
