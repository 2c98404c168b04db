"""The packages that each cloud deploys: how they are built, and how they are described."""
