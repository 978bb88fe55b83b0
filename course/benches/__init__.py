"""What `make bench` measures with: servers that send to a room in different ways, and a load."""
