"""Where the bytes go: one file per path type, holding its Django form and its store."""
