"""`python -m course …`: the door. It first makes sure of Python and packages, then opens."""

from course.bootstrap import main

main()
