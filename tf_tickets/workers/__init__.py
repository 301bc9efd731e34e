"""One run over several machines: how its workers find each other, what they tell each other, and who is lost."""
