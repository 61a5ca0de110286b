"""Do the tests bite: changed scripts and step code, which the normal test run must tell apart.

A mutant is one small change of one file. ``lua`` and ``python`` make them from the syntax,
``catalogue`` numbers them and knows the survivors that change nothing, ``plugin`` runs tests over
them in forked children of one collected pytest session, ``run`` is the command line.
"""
