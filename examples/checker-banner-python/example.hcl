prefix = "SSH-2.0"
