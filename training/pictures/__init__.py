"""Pictures of data, predictions and training runs, for people to look at."""
