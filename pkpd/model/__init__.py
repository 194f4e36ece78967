"""Sentences: components composed into a model that predicts what is observed."""

from pkpd.model.compose import compose
from pkpd.model.model import Model
from pkpd.model.observable import Observable
from pkpd.model.predict import Predictor, predict, predictor

__all__ = ["Model", "Observable", "Predictor", "compose", "predict", "predictor"]
