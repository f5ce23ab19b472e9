"""Models in: importers, and the runtimes that replay on them.

==============  =============================================  ==========================
from            what                                           what runs for replays
==============  =============================================  ==========================
ONNX            tree ensemble operators, ``ai.onnx.ml`` 1-5    onnxruntime
XGBoost         ``.json``, ``.ubj``, live                      XGBoost's C interface
XGBoost         text dump                                      a float32 simulation
LightGBM        ``.txt``, live                                 LightGBM's C interface
scikit-learn    trees, forests, gradient boosting; live        its compiled trees
scikit-learn    linear models, naive Bayes; live               its predict
scikit-learn    nearest neighbours, votes, calibrations; live  its predict
scikit-learn    pipelines that end with one of these; live     the whole pipeline
rules           text, sentences, JSON, live                    the rules themselves
graphs          JSON                                           the graph itself
binarised       JSON, ``.npz``, live torch modules             whole numbers, or torch
==============  =============================================  ==========================

Every importer ends by comparing structure and runtime on the model's own boundaries.
"""

from __future__ import annotations

from .load import load_model
from .model import Model, Runtime, fingerprint_of

__all__ = ["Model", "Runtime", "fingerprint_of", "load_model"]
