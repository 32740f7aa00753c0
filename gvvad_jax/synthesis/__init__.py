"""The half that makes video: for now the embedded renderer alone; descriptions, generators and the filter come later."""
