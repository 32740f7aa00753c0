"""What is wrong with data, weights or this machine, and how two feature sets of the same videos differ."""
