from deployments.optimization.experiments.warm import warm
from models.optimization.bandits import best_arm


def test_a_replica_compiles_before_its_first_request() -> None:
    warm()
    for kernel in (best_arm.nodes, best_arm._integrals):
        assert getattr(kernel, "signatures", None)
