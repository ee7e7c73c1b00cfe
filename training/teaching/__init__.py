"""Teachers: what another network sees, for distillation and for cleaning labels."""
