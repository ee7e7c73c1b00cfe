"""Subcommands of `edge-pose-train`: one file per topic."""
