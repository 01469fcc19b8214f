from deployments.experiments.warm import warm
from models.optimization.bandits import normal_kernel


def test_a_replica_compiles_before_its_first_request() -> None:
    warm()
    compiled: object = normal_kernel.chances_of_best
    assert getattr(compiled, "signatures", None)
