"""Fast training: SB3's update steps as pure functions over tensors, compiled as a whole."""
