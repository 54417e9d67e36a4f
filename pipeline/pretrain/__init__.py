"""Stage pretrain: the exact step on elastic replicas."""
