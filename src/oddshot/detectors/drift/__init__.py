"""Whether new rows still come from where the context came from, and the next context.

The rows that `fitted` kept and a window of new ones go in; `monitor` compares them as a whole,
`columns` one by one, `unread` tells which cells cannot be read, and out comes a `Drift`: the
`finding`.
`refreshing` makes a new context of both, which the detector is then fitted to.
"""
