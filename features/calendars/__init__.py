"""When markets trade: sessions, their phases, and option expiries of real exchanges."""
