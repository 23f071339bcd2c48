"""What runs outside the product's process: the zygote and the holders it forks.

Pure standard library and small: these modules are run by `python -I -S` as the top-level package
`holder`, so they import only one another. The product imports `protocol` and `output` from here.
"""
