"""Learners: from mapped tasks to a detector, meta-trained over many of them."""
