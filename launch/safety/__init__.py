"""`ballast safety`: policies checked and what safety does, from the command line."""
