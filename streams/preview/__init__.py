"""What messages of a playbook look like before anybody gets one.

`pool` holds pieces of news to try them on: one for each segment of the default catalog comes along, others come from a
file. `messages` makes the deliveries of a play of them and writes them; `page` shows them the way a channel or a
mailbox would. Pure, but for the file that `pool` reads.
"""
