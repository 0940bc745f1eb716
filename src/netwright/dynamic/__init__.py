"""Layers whose weights change while they run: hypernetworks inside one network, to put in a model of your own."""

from netwright.dynamic.hyper_gru import HyperGRU, HyperGRUState
from netwright.dynamic.hyper_lstm import HyperLSTM, HyperLSTMState
from netwright.dynamic.per_sample import PerSample

__all__ = ["HyperGRU", "HyperGRUState", "HyperLSTM", "HyperLSTMState", "PerSample"]
