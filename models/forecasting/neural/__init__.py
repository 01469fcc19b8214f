"""Networks trained by pytorch-forecasting and served by arithmetic of our own, without PyTorch.

A row is reckoned alone, in one fixed order, in double precision: its bits are the same whatever
rows it is asked with, which matrix libraries do not promise.
"""
