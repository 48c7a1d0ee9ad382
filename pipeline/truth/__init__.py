"""What Keras says is right, asked once and frozen to disk."""
