"""What makes a cluster for a job, by name."""
