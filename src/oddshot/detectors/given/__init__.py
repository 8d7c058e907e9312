"""What users give, checked: tables as rows, ``y`` as labels, groups as numbers, or a clear error.

Whatever comes from outside enters here and goes on as arrays, to `fitted`, `adversarial`,
`verdicts` and the faces; nothing comes back.
"""
