"""What `edge-pose-convert` does: the conversion itself, and its subcommands."""
