"""Readers of network files: ONNX, one family of operators per file, and NNet."""
