"""Speed against peers, quality against published figures."""
