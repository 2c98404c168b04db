"""Tests of the documentation: the site, the guide and its commands."""
