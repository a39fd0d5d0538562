"""The one table of a service that holds personal data (个人信息), encrypted per person.

It lies in schema ``platform`` beside the log, never in it. An erased person keeps a row whose key is gone.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(schema="platform")

PRIVATE = sa.Table(
    "private",
    metadata,
    sa.Column("person_id", sa.Text, primary_key=True),
    sa.Column(
        "kid", sa.Text, nullable=False, comment="id of the key-encryption key; 'erased' when destroyed"
    ),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False, comment="nonce and AES-256-GCM of the data key"),
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column(
        "blind_index",
        sa.Text,
        nullable=True,
        comment="kid:hmac of the number, in a service that looks people up by it",
    ),
)
