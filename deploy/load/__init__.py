"""The load tester's tool (压测): offers payments to a running system at a rate, and audits what became of them.

Acts over HTTP only; imports no service.
"""
