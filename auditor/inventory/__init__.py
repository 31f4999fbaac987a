"""The inventory in other people's shapes."""
