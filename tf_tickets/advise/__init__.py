"""What to do with some pictures: what `advise` computes, and its page."""
