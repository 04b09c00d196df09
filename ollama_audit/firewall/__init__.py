"""Who gets through a packet filter: pure code from verbatim captures to sets of addresses.

`reach` is the way in; the semantics are those of the Linux kernel, each of them compared with a
running one by `tests/differential`.
"""
