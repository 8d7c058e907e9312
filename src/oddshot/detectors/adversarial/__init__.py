"""What `AAEDetector.fit` leaves behind, and scores with: an autoencoder augmented by adversaries.

Rows from `given`, or images, become numbers in `fronts`; `training` learns from them, with
`neighbourhood` beside what networks see; `autoencoder` gives raw scores, for `verdicts`, and
`onnx_export` writes all that as one model.
"""
