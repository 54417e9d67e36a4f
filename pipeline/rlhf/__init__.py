"""Reinforcement learning: proximal policy optimisation on Ray actors."""
