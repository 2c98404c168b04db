"""What is deployed: the packages as they are built, and the templates that deploy them."""
