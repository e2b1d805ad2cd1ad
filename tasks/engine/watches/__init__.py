"""What the tick looks after: alarms that no event raises or clears, but time or somebody's absence."""
