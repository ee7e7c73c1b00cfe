"""A fleet of virtual devices that publish to one broker, and somebody who counts."""
