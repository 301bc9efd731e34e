"""The analyses, without TensorFlow; each module registers its own, and imports what it computes with late."""
