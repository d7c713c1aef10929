"""The memory of past play: what the loop feeds an agent with.

`feed` is what the loop sees, `store` holds rows, `disk` puts them into files, `uniform` and
`episodes` draw from them, `size` says beforehand what they will take.
"""
