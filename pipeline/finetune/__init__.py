"""Supervised fine-tuning: the pretrained model learns to answer in turns."""
