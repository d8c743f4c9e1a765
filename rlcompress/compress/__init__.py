"""Compressing a policy that is already trained: its teacher, its student, and what was lost."""
