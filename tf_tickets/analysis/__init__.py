"""What the numbers of finished runs show: statistics over seeds."""
