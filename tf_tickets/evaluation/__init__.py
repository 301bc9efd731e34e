"""How good a trained network is: accuracy, calibration, corruptions, shift and attacks, as rows beside it."""
