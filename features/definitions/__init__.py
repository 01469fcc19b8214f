"""Which features there are: what each is, where it comes from, and how it is computed."""
