"""Stage search: peak learning rate and batch schedule, by synchronous halving."""
