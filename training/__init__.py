"""The workshop: networks, data, losses and the trainer that turns them into checkpoints."""
