"""The scikit-learn face of any prior."""
