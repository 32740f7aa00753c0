"""The half that makes video: the embedded renderer alone so far."""
