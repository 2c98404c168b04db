"""The stand-ins' own tests: a stand-in that is laxer than its cloud proves nothing."""
