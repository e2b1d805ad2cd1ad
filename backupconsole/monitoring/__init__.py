"""What monitors ask: whether the console lives, whether it is ready, and its figures for Prometheus."""
