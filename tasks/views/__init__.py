"""The pages: each view fetches, calls a service, leaves a message and redirects."""
