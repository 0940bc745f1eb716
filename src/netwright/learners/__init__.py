"""Ways to turn a support set into a predictor: hypernetworks and what they are compared with."""

from netwright.learners.base import Learner, Predictor
from netwright.learners.fine_tune import FineTune
from netwright.learners.generate import Generate
from netwright.learners.joint import train_joint
from netwright.learners.nearest import NearestNeighbour
from netwright.learners.nearest_mean import NearestMean
from netwright.learners.tune_embedding import TuneEmbedding

__all__ = [
    "FineTune",
    "Generate",
    "Learner",
    "NearestMean",
    "NearestNeighbour",
    "Predictor",
    "TuneEmbedding",
    "train_joint",
]
