"""CallTable -> small result objects. No printing, no rich."""
