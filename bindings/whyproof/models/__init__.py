"""Models in: importers, and the runtimes that replay on them.

==============  =============================================  ==========================
from            what                                           what runs for replays
==============  =============================================  ==========================
ONNX            tree ensemble operators, ``ai.onnx.ml`` 1-5    onnxruntime
XGBoost         ``.json``, ``.ubj``, live                      XGBoost's C interface
XGBoost         text dump                                      a float32 simulation
LightGBM        ``.txt``, live                                 LightGBM's C interface
scikit-learn    trees, forests, gradient boosting; live        its compiled trees
==============  =============================================  ==========================

Every importer ends by comparing structure and runtime on the trees' own boundaries.
"""

from __future__ import annotations

from .load import load_model
from .model import Model, Runtime, fingerprint_of

__all__ = ["Model", "Runtime", "fingerprint_of", "load_model"]
