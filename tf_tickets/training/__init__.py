"""Training of one round: steps, optimizers, schedules, callbacks. Knows nothing of pruning."""
