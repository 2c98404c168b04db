"""The packages that each cloud deploys: how they are built, and what is said about them."""
