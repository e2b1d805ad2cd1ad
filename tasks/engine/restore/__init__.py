"""Restoring a set into its cluster, step by step, and the way back."""
