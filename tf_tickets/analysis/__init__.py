"""Why a ticket does what it does: what `analyze` computes of one network, or of two."""
