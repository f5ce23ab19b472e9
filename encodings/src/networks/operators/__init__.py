"""The operators of a network graph in torch, one family per file.

A linear operator knows its matrix `W` only through four products: ``W x + b``, ``|W| x``,
``A W``, and selected rows of `W`.  An activation knows the two lines that enclose it
between given bounds.  Everything works on batches of flat vectors, ``(batch, size)``, and
on batches of rows over them, ``(batch, rows, size)``.
"""
