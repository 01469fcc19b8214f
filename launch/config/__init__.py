"""`ballast config`: versions of the configuration, by hand."""
