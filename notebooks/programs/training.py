#!/usr/bin/env python3
"""Trains a small neural network on the CPU, for notebooks/training.ipynb to steer.

Two spirals of points, one hidden layer, stochastic gradient descent in numpy.
Its learning rate is far too low. Nothing in here knows that anyone might attach
to it.

    python notebooks/programs/training.py
"""

from __future__ import annotations

import numpy as np

POINTS, HIDDEN, BATCH = 1_000, 32, 50
EPOCHS = 1_000_000

learning_rate = 0.0005
is_enough = False
losses: list[float] = []

random = np.random.default_rng(768)


class Network:
    """Two inputs, a hidden layer, and the probability of the second class."""

    def __init__(self) -> None:
        self.inner = random.normal(0, 1, (3, HIDDEN))
        self.outer = random.normal(0, 0.1, (HIDDEN + 1, 1))

    def hidden(self, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(with_bias(inputs) @ self.inner)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-with_bias(self.hidden(inputs)) @ self.outer))

    def learn(self, inputs: np.ndarray, classes: np.ndarray, rate: float) -> float:
        """One step down the gradient of the cross-entropy. Returns that before the step."""
        hidden, predicted = self.hidden(inputs), self.predict(inputs)
        error = (predicted - classes) / len(inputs)
        inner_error = error @ self.outer[:-1].T * (1 - hidden**2)
        self.outer -= rate * with_bias(hidden).T @ error
        self.inner -= rate * with_bias(inputs).T @ inner_error
        right = np.where(classes == 1, predicted, 1 - predicted)
        return float(-np.log(right + 1e-12).mean())


def with_bias(values: np.ndarray) -> np.ndarray:
    return np.hstack([values, np.ones((len(values), 1))])


def spirals() -> tuple[np.ndarray, np.ndarray]:
    """Points on two arms that wind about each other, and to which arm each belongs."""
    classes = np.arange(POINTS).reshape(-1, 1) % 2
    along = np.sqrt(random.uniform(0.05, 1, (POINTS, 1)))
    angle = 4 * np.pi * along + np.pi * classes
    points = 3 * along * np.hstack([np.cos(angle), np.sin(angle)])
    return points + random.normal(0, 0.08, points.shape), classes


def accuracy(network: Network, points: np.ndarray, classes: np.ndarray) -> float:
    return float(((network.predict(points) > 0.5) == classes).mean())


def train(network: Network, points: np.ndarray, classes: np.ndarray) -> int:
    """Train until it is enough. Returns the number of epochs."""
    for epoch in range(1, EPOCHS + 1):
        order = random.permutation(POINTS).reshape(-1, BATCH)
        steps = [network.learn(points[b], classes[b], learning_rate) for b in order]
        losses.append(sum(steps) / len(steps))
        if epoch % 100 == 0:
            print(f"epoch {epoch}: loss {losses[-1]:.4f} at {learning_rate}", flush=True)
        if is_enough:
            break
    return epoch


def main() -> None:
    network = Network()
    points, classes = spirals()
    print("ready: training begins", flush=True)
    epochs = train(network, points, classes)
    right = accuracy(network, points, classes)
    print(f"trained for {epochs} epochs: {right:.1%} of the points are right", flush=True)
    input("The network is kept until you press Enter.\n")


if __name__ == "__main__":
    main()
