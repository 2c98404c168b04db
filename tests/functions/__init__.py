"""Tests of the cloud functions, from the event to the answer."""
