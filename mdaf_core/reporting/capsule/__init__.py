"""A study as one file that travels: it opens without a server or a network, and every number in it can be checked.

`record` takes from a study what predictions do not tell, `scores` packs its predictions, `rebuilt` makes the study's
material from these two alone, `page` the file from that. `verify` does the same with what a file holds, and compares.
"""
