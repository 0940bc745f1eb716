"""Ways to turn a support set into a predictor: hypernetworks and what they are compared with."""

from netwright.learners.adapted_embedding import AdaptedEmbedding
from netwright.learners.adapted_policy import AdaptedPolicy
from netwright.learners.adapted_weights import AdaptedWeights
from netwright.learners.base import Learner, Predictor
from netwright.learners.cavia import Cavia
from netwright.learners.closed_form import ClosedForm
from netwright.learners.fine_tune import FineTune
from netwright.learners.generate import Generate
from netwright.learners.joint import train_joint
from netwright.learners.nearest import NearestNeighbour
from netwright.learners.nearest_mean import NearestMean
from netwright.learners.records import writer_from_record
from netwright.learners.reptile import Reptile
from netwright.learners.reptile_hypernetwork import ReptileHypernetwork
from netwright.learners.start import Start
from netwright.learners.tune_embedding import TuneEmbedding

__all__ = [
    "AdaptedEmbedding",
    "AdaptedPolicy",
    "AdaptedWeights",
    "Cavia",
    "ClosedForm",
    "FineTune",
    "Generate",
    "Learner",
    "NearestMean",
    "NearestNeighbour",
    "Predictor",
    "Reptile",
    "ReptileHypernetwork",
    "Start",
    "TuneEmbedding",
    "train_joint",
    "writer_from_record",
]
