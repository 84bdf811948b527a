"""A run's directory: recipe, metrics, checkpoints, resume state, lock."""
