"""From trained models to compressed policies and from those to other formats."""
