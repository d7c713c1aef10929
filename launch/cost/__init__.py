"""What a sweep will cost before it starts, from what was measured and from nothing else."""
