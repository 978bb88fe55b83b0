"""Labs: sixteen deployments that are broken on purpose, each with its symptom and its cure.

A lab is one file. It has `FINDS`, what the doctor names (and `ALSO`, what else it finds there);
`SHOWS`, the words by which a learner knows the symptom; and `scene(cured)`, which starts it on
loopback and knows how to show it. What is said about it in both languages is in labs.toml. What
labs share is in stage.py; catalogue.py lists them, command.py is `python -m course break`.
"""
