"""Runs: what imp, train and pretrain do, as a list of stages, and the rounds that they share."""
