"""Lets Vowpal Wabbit play one simulated world: prints the regret of each run, a JSON list a line.

python -m benchmarks.peers.bandits.play SETTING WORLD ARMS WIDTH MANY STEPS

As its tutorial on contextual bandits has it: a learner a run, the context shared, an action that
is its name, their interactions (-q sa), a cost of 1 less the reward, and its defaults else.
"""

import json
import sys

import numpy as np
from vowpalwabbit import Workspace

from benchmarks.quality.experiments.worlds import Floats, Ints, regret_of, world_of

SETTINGS = {
    "epsilon": "--epsilon 0.05",
    "squarecb": "--squarecb",
    "regcbopt": "--regcbopt",
    "cover": "--cover 3",
}


class VowpalWabbit:
    """A learner for each of many runs."""

    def __init__(self, many: int, arms: int, setting: str) -> None:
        options = f"--cb_explore_adf {SETTINGS[setting]} -q sa --quiet --random_seed"
        self.learners = [Workspace(f"{options} {run + 1}") for run in range(many)]
        self.actions = [f"|a arm{arm}" for arm in range(arms)]
        self.chances = np.zeros((many, arms))
        self.shared = [""] * many

    def choose(self, contexts: Floats, rng: np.random.Generator) -> Ints:
        self.shared = [_shared(context) for context in contexts]
        for run, learner in enumerate(self.learners):
            found = np.array(learner.predict([self.shared[run], *self.actions]))
            self.chances[run] = found / found.sum()
        below = self.chances.cumsum(axis=1)
        below /= below[:, -1:]
        arms: Ints = (below > rng.random((len(below), 1))).argmax(axis=1)
        return arms

    def learn(self, contexts: Floats, arms: Ints, rewards: Floats) -> None:
        """Learn of the arms that were chosen in the same contexts a moment ago."""
        del contexts
        for run, learner in enumerate(self.learners):
            arm, lines = arms[run], [self.shared[run], *self.actions]
            label = f"0:{1 - rewards[run]}:{self.chances[run, arm]}"
            lines[1 + arm] = f"{label} {self.actions[arm]}"
            learner.learn(lines)


def _shared(context: Floats) -> str:
    """Write the context; the constant is there by default."""
    features = (f"x{j}:{value:.9g}" for j, value in enumerate(context[1:].tolist()))
    return f"shared |s {' '.join(features)}"


def main(setting: str, name: str, arms: int, width: int, many: int, steps: int) -> None:
    means = world_of(name, many, arms, width)
    lost = regret_of(VowpalWabbit(many, arms, setting), means, many, width, steps)
    print(json.dumps(lost.tolist()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(each) for each in sys.argv[3:7]))
