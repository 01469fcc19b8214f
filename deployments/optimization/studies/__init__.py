"""Studies: optimisation by ask and tell, every trial written down before it is answered."""
