"""The commands of `edge-pose-bench`, one per file; each is in the table of benchmarks.cli."""
