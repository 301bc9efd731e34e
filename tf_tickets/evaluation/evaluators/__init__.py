"""The evaluators, without TensorFlow; each module registers its own, and imports what they compute with late."""
