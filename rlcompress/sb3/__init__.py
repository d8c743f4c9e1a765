"""What rlcompress adds to Stable-Baselines3; importing the package itself loads nothing."""
