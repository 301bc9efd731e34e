"""Settings: how each is declared, checked and spelled, in groups, flagfiles and on the command line. No TensorFlow."""
