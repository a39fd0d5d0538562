"""The obligation (缴费义务) of one person, insurance and year: one stream, one aggregate (ADR 0012).

Assessment, payments, treasury and refunds decide over this one stream; its events and state lie
below them, where each may import them.
"""
