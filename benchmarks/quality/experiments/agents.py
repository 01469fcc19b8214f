"""Our policies, and the textbook's, as agents in many simulated worlds at once."""

import numpy as np

from models.optimization.bandits.decide import choose
from models.optimization.bandits.design import Design, Feature, PolicyName
from models.optimization.bandits.experiment import fresh_posterior
from models.optimization.bandits.policies import draw_arms
from models.protocols import FloatArray, IntArray


class Textbook:
    """LinUCB (Li et al. 2010, algorithm 1) and Thompson (Agrawal and Goyal 2013), by the book.

    Inverses kept by Sherman and Morrison's formula; scores are mean + scale * deviation, times a
    normal draw for Thompson.
    """

    def __init__(self, many: int, arms: int, width: int, policy: PolicyName, scale: float) -> None:
        self.inverse = np.tile(np.eye(width), (many, arms, 1, 1))
        self.moment = np.zeros((many, arms, width))
        self.policy, self.scale = policy, scale

    def choose(self, contexts: FloatArray, rng: np.random.Generator) -> IntArray:
        theta = np.einsum("maij,maj->mai", self.inverse, self.moment)
        mean = np.einsum("mi,mai->ma", contexts, theta)
        variance = np.einsum("mi,maij,mj->ma", contexts, self.inverse, contexts)
        luck = rng.normal(size=mean.shape) if self.policy == "thompson" else 1.0
        best: IntArray = (mean + self.scale * luck * np.sqrt(variance)).argmax(axis=1)
        return best

    def learn(self, contexts: FloatArray, arms: IntArray, rewards: FloatArray) -> None:
        each = np.arange(len(arms))
        image = np.einsum("mij,mj->mi", self.inverse[each, arms], contexts)
        shrink = 1 + (contexts * image).sum(axis=1)
        self.inverse[each, arms] -= image[:, :, None] * image[:, None, :] / shrink[:, None, None]
        self.moment[each, arms] += rewards[:, None] * contexts


class Ours:
    """A design's defaults, with neither a floor nor a cap: what the policy itself loses."""

    def __init__(self, many: int, arms: int, width: int, policy: PolicyName) -> None:
        design = Design(features=tuple(Feature(f"x{j}") for j in range(1, width)))
        self.posterior = fresh_posterior(design, arms, many)
        self.eligible = np.ones((many, arms), np.bool_)
        self.policy, self.width = policy, design.width_of(policy)

    def chances(self, contexts: FloatArray, rng: np.random.Generator) -> FloatArray:
        rows = len(contexts)
        draws = rng.random((rows, 1)) if self.policy == "thompson" else np.zeros((rows, 1))
        beliefs = self.posterior.beliefs(contexts)
        return choose(beliefs, self.eligible, draws, self.policy, self.width).probability

    def choose(self, contexts: FloatArray, rng: np.random.Generator) -> IntArray:
        return draw_arms(self.chances(contexts, rng), rng.random(len(contexts)))

    def learn(self, contexts: FloatArray, arms: IntArray, rewards: FloatArray) -> None:
        self.posterior.learn(np.arange(len(arms)), arms, contexts, rewards)
