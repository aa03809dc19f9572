"""What lies between machines: topologies, routes, collectives and what they take."""
