"""Tickets as artefacts: writing, loading, verifying."""
