"""The courier: decides for each destination what is told when, and sees to it that it arrives.

`stage` is the whole: news and commands in; actions, dead letters and rows out. `post` is one destination in it,
`outbox` what is open there, `threads` what was told before; `rows` is the changelog; `reading` and `background` bring
what is not in memory. What to tell is decided by `streams.notify.plan`, how to deliver it by `streams.notify.deliver`.
"""
