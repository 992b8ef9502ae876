"""Import of other authors' models: checkpoints, ONNX graphs, TensorFlow.js graph models."""
