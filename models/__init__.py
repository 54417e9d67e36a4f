"""Tensor in, tensor out: the model, its losses and optimiser, one exact step, generation."""
