"""What each command does, as a list of stages."""
