"""What runs outside the product's process: the zygote and the holders it forks.

Pure standard library and small: these modules are run by `python -I -S` as the top-level package
`holder`, so they import only one another, and all of it at the start: a holder's own view has no
standard library to import from. The product imports `protocol`, `output` and constants from here.
"""
