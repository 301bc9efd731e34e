"""Drawing: what analyses and reports share. Knows tables and rows, no runs."""
