"""Google Cloud on this machine: a strict simulator, and fake-gcs-server."""
