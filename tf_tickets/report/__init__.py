"""Tables and figures of finished runs. Reads run folders and CSV files; imports no TensorFlow."""
