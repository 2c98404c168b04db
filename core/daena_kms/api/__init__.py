"""The HTTP API, written once and mounted by every cloud's function.

A handler makes a :class:`~daena_kms.api.messages.Request` of its platform's event and hands it to
:func:`~daena_kms.api.router.respond`. No answer holds a value. An error is a problem document
(RFC 9457) with a stable ``type``.
"""
