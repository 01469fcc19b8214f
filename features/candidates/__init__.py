"""New versions of mappings and definitions, compared with those that are in force."""
