"""How values are written where Django writes them: in its admin."""
