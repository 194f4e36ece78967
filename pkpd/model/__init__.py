"""Sentences: components composed into a model that predicts what is observed."""

from pkpd.model.compose import compose
from pkpd.model.describe import Description, describe
from pkpd.model.example import Example
from pkpd.model.model import Model
from pkpd.model.observable import Observable
from pkpd.model.predict import Predictor, predict, predictor
from pkpd.model.registry import available_models, load_model

__all__ = [
    "Description",
    "Example",
    "Model",
    "Observable",
    "Predictor",
    "available_models",
    "compose",
    "describe",
    "load_model",
    "predict",
    "predictor",
]
