"""Recurrent layers as ONNX's own LSTM, GRU and RNN nodes."""
