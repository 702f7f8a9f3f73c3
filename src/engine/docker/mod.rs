//! The Docker engine: containers, through the Docker API.
