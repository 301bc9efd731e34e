"""Training of one round: steps, optimizers, schedules, observers. Knows nothing of pruning."""
