"""Rows of any kind as rows of finite numbers, and back.

Columns of cells come in. `recipe` looks at each and chooses its kind by `number_recipe`,
`date_recipe` and `category_recipe`: `number`, `date`, `category` or `left_out`, which know how to
write it. `dates_together` and `repeated_names` look at several columns at once. `encoder` lays the
recipes out (`layout`) and writes rows with them, the numbers in one `number_block`; out come arrays
for `support` and `coordinates`. `decode` reads these back, `recipe_state` is what is saved.
"""
