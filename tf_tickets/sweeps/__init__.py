"""Many runs: a grid of settings, and who runs them: this machine, a Ray cluster or Slurm."""
