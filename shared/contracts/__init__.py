"""The published language: versioned messages between services, one module per owning service.

Private events are not messages: a capability's ``publication.py`` turns one into the other.
Each module is edited by its owner only; fields are added with defaults, never renamed or removed.
"""
