"""A made-up trading platform whose telemetry is the same, to the bit, however it is asked for.

Everything is a pure function of (seed, service, UTC day): a whole day is drawn from counter-based
generators and then sliced, so that no answer depends on the range that was asked for or on what was
asked before.
"""
