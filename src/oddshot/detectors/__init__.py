"""The scikit-learn face of any prior.

The faces are `few_shot`, `autoencoder` and `series`; `pyod_adapter` and `scorers` are for code that
was written for others. `base`, `adapted_prior`, `learns_from_answers`, `gives_reasons` and
`keeps_up` are what the faces are made of. Folders hold the rest: `given` is what users give,
checked; `fitted` and `adversarial` are what `fit` leaves behind and raw scores come from,
`corrections` the stages between; `verdicts` make thresholds and promises of scores; `explanations`,
`drift` and `labelling` ask a fitted detector for more. Rows go `given -> fitted -> corrections ->
verdicts`; imports go down from the faces, in the layers that `pyproject.toml` names.
"""
