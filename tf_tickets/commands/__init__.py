"""The commands, one module each, without TensorFlow; each registers its own, and imports what it runs late."""
