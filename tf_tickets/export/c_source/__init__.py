"""`ticket.c` and `ticket.h`: a ticket as C99 over its surviving weights, without allocation, for compilers anywhere.

`nodes` takes the runtime's folded program, `layouts` says where each map lies in the scratch memory, `weight_tables`
writes constants and `calls` what reads them, `tile_kernels` and `map_kernels` are the functions that are called,
`files_text` puts the two files together, and `builds` compiles and executes them.
"""
